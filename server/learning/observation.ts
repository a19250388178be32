/**
 * Who judges: the probability that an answer gets a verdict, given what is known without it.
 *
 *     logit P(judged | x) = w · [1, difficulty, out of domain, log length, model, team]
 *
 * Fitted on judged answers and on some that nobody judged; facts alone are read of those. It corrects for feedback
 * that is missing at random given x. What it cannot correct is feedback that depends on the answer itself, such as
 * that the unhappy complain more: that is what audits are for (README.md).
 */
import { and, asc, between, eq, gt, gte, isNotNull, lt, notExists, or, sql } from 'drizzle-orm';
import { cholesky, choleskySolve } from '../../router/training/linear-algebra.ts';
import { databaseError } from '../db/connection.ts';
import { decisions, outcomes } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import type { Sample } from './log.ts';

/** What the probability depends on. */
export interface ObservationFacts {
  readonly tenant: string;
  readonly executed: string;
  readonly difficulty: number | null;
  readonly outOfDomain: number | null;
  readonly chars: number;
}

export interface Unjudged {
  readonly rows: readonly ObservationFacts[];
  /** Share of the answers without a verdict that was read, in (0, 1]. */
  readonly share: number;
}

export interface Observation {
  /** P(judged), in [0.02, 1]. */
  probability(facts: ObservationFacts): number;
}

/** Most answers without a verdict that are read. */
export const MAX_UNJUDGED = 20_000;
const PAGE = 500;
/** The time is cut into so many pieces, and the same part of each is read: every hour of the day, every day of the month. */
const SLICES = 100;

/**
 * Answers without a verdict from between two moments, evenly spread over time where there are too many.
 * @param from, to milliseconds since 1970, both included
 * @throws `DATABASE_UNAVAILABLE`
 */
export async function readUnjudged(
  { db }: Pick<SqlStore, 'db'>,
  { from, to }: { readonly from: number; readonly to: number },
  limit: number = MAX_UNJUDGED,
): Promise<Unjudged> {
  try {
    const inTime = between(decisions.createdAt, new Date(from), new Date(to));
    // Of all decisions, which an index can count by itself.
    const counted = await db.select({ n: sql<string>`count(*)` }).from(decisions).where(inTime);
    const share = Math.min(1, limit / Math.max(1, Number(counted[0]!.n)));
    const slices = share === 1 ? 1 : SLICES;
    const length = (to + 1 - from) / slices;
    const rows: ObservationFacts[] = [];
    let visited = 0;
    while (visited < slices && rows.length < limit) {
      const start = from + visited * length;
      for await (const page of slice(db, Math.ceil(start), Math.ceil(start + share * length))) rows.push(...page);
      visited++;
    }
    return { rows, share: (share * visited) / slices };
  } catch (error) {
    throw databaseError(error);
  }
}

/** Answers of one stretch of time, `from` included and `to` not, a page at a time. */
async function* slice(db: SqlStore['db'], from: number, to: number): AsyncGenerator<ObservationFacts[]> {
  let after: { createdAt: Date; id: string } | undefined;
  do {
    const page = await db
      .select({
        id: decisions.id,
        createdAt: decisions.createdAt,
        tenant: decisions.tenant,
        executed: decisions.executedModel,
        difficulty: decisions.difficulty,
        outOfDomain: decisions.outOfDomain,
        chars: sql<number>`coalesce((${decisions.facts} ->> 'chars')::float8, 0)`,
      })
      .from(decisions)
      .where(
        and(
          gte(decisions.createdAt, after?.createdAt ?? new Date(from)),
          lt(decisions.createdAt, new Date(to)),
          after && or(gt(decisions.createdAt, after.createdAt), gt(decisions.id, after.id)),
          eq(decisions.routed, true),
          isNotNull(decisions.executedModel),
          notExists(
            db
              .select({ one: sql`1` })
              .from(outcomes)
              .where(and(eq(outcomes.decisionId, decisions.id), eq(outcomes.kind, 'verdict'))),
          ),
        ),
      )
      .orderBy(asc(decisions.createdAt), asc(decisions.id))
      .limit(PAGE);
    yield page.map(({ tenant, executed, difficulty, outOfDomain, chars }) => ({
      tenant,
      executed: executed!,
      difficulty,
      outOfDomain,
      chars,
    }));
    after = page.length < PAGE ? undefined : page.at(-1);
  } while (after !== undefined);
}

export const factsOf = ({ tenant, executed, difficulty, outOfDomain, facts }: Sample): ObservationFacts => ({
  tenant,
  executed,
  difficulty,
  outOfDomain,
  chars: facts.chars,
});

/** Fewer on either side say nothing of who judges. */
const LEAST_ROWS = 50;
/** Verdicts that the model is fitted on: more of them make nothing more certain. */
const MOST_JUDGED = 20_000;
/** Teams and models with fewer rows are taken together. */
const LEAST_OF_KIND = 20;
const LEAST_PROBABILITY = 0.02;
const FOLDS = 3;

/**
 * @param judged   what is known of answers with a verdict
 * @param unjudged of answers without one, each standing for 1 / share of them
 * @returns null where too few are on either side to tell who judges: then nothing is corrected
 */
export function fitObservation(judged: readonly ObservationFacts[], unjudged: Unjudged): Observation | null {
  if (judged.length < LEAST_ROWS || unjudged.rows.length < LEAST_ROWS) return null;
  const step = Math.ceil(judged.length / MOST_JUDGED);
  const some = judged.filter((_, i) => i % step === 0);
  const rows = [...some, ...unjudged.rows];
  const inputs = inputsOf(rows);
  // Standing for more answers than it is makes no row more certain, so that weights have mean 1.
  const [one, none] = [judged.length / some.length, 1 / unjudged.share];
  const unit = rows.length / (one * some.length + none * unjudged.rows.length);
  const data: Labelled = {
    rows: rows.map(inputs.of),
    isJudged: Uint8Array.from(rows, (_, i) => (i < some.length ? 1 : 0)),
    weights: Float64Array.from(rows, (_, i) => unit * (i < some.length ? one : none)),
    precision: inputs.precision,
  };
  const fit = fitLogistic(data);
  const { slope, level } = calibrated(data);
  return {
    probability: (facts) =>
      Math.min(1, Math.max(LEAST_PROBABILITY, sigmoid(level + slope * logitOf(fit, inputs.of(facts))))),
  };
}

/** A row's inputs that are not 0. */
interface Sparse {
  readonly at: readonly number[];
  readonly value: readonly number[];
}

interface Inputs {
  of(facts: ObservationFacts): Sparse;
  /** How firmly each weight is drawn to 0. */
  readonly precision: Float64Array;
}

/** Places of the inputs that every row has: 1, difficulty, out of domain, log length, its square. */
const SHARED = 5;

function inputsOf(rows: readonly ObservationFacts[]): Inputs {
  const length = (row: ObservationFacts) => Math.log1p(row.chars);
  const difficulty = moments(rows.flatMap((row) => (row.difficulty === null ? [] : [row.difficulty])));
  const chars = moments(rows.map(length));
  const models = places(
    rows.map(({ executed }) => executed),
    SHARED,
  );
  const teams = places(
    rows.map(({ tenant }) => tenant),
    SHARED + models.size,
  );
  const precision = new Float64Array(SHARED + models.size + teams.size).fill(1);
  precision[0] = 1e-6;
  return {
    precision,
    of(row) {
      const long = (length(row) - chars.mean) / chars.sd;
      const at = [0, 1, 2, 3, 4];
      const value = [
        1,
        row.difficulty === null ? 0 : (row.difficulty - difficulty.mean) / difficulty.sd,
        row.outOfDomain ?? 0,
        long,
        long ** 2,
      ];
      for (const place of [models.get(row.executed), teams.get(row.tenant)]) {
        if (place === undefined) continue;
        at.push(place);
        value.push(1);
      }
      return { at, value };
    },
  };
}

/** A place for each name that is frequent enough. */
function places(names: readonly string[], from: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const frequent = [...counts].filter(([, count]) => count >= LEAST_OF_KIND).map(([name]) => name);
  return new Map(frequent.sort().map((name, i) => [name, from + i]));
}

function moments(values: readonly number[]): { mean: number; sd: number } {
  const n = Math.max(1, values.length);
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const sd = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / n);
  return { mean, sd: sd > 1e-9 ? sd : 1 };
}

interface Labelled {
  readonly rows: readonly Sparse[];
  readonly isJudged: Uint8Array;
  readonly weights: Float64Array;
  readonly precision: Float64Array;
}

const NEWTON_STEPS = 8;

/** Penalised maximum likelihood, by Newton's steps. */
function fitLogistic({ rows, isJudged, weights, precision }: Labelled): Float64Array {
  const d = precision.length;
  const w = new Float64Array(d);
  for (let step = 0; step < NEWTON_STEPS; step++) {
    const g = Float64Array.from(w, (v, a) => -precision[a]! * v);
    const h = new Float64Array(d * d);
    for (let a = 0; a < d; a++) h[a * d + a] = precision[a]!;
    for (const [i, { at, value }] of rows.entries()) {
      const p = sigmoid(logitOf(w, rows[i]!));
      const error = weights[i]! * (isJudged[i]! - p);
      const v = weights[i]! * p * (1 - p);
      for (let s = 0; s < at.length; s++) {
        g[at[s]!]! += error * value[s]!;
        for (let t = 0; t <= s; t++) h[at[s]! * d + at[t]!]! += v * value[s]! * value[t]!;
      }
    }
    for (let a = 0; a < d; a++) for (let b = 0; b < a; b++) h[b * d + a] = h[a * d + b]!;
    const delta = choleskySolve(cholesky(h, d), g, d);
    for (let a = 0; a < d; a++) w[a]! += Math.min(2, Math.max(-2, delta[a]!));
  }
  return w;
}

/** Slope and level that make probabilities of rows a fit has not seen come true on average (Platt 1999). */
function calibrated(data: Labelled): { slope: number; level: number } {
  const { rows, isJudged, weights } = data;
  const logits = new Float64Array(rows.length);
  for (let fold = 0; fold < FOLDS; fold++) {
    const kept = rows.map((_, i) => i).filter((i) => i % FOLDS !== fold);
    const fit = fitLogistic({
      ...data,
      rows: kept.map((i) => rows[i]!),
      isJudged: Uint8Array.from(kept, (i) => isJudged[i]!),
      weights: Float64Array.from(kept, (i) => weights[i]!),
    });
    for (let i = fold; i < rows.length; i += FOLDS) logits[i] = logitOf(fit, rows[i]!);
  }
  const [level, slope] = fitLogistic({
    rows: Array.from(logits, (l) => ({ at: [0, 1], value: [1, l] })),
    isJudged,
    weights,
    precision: Float64Array.of(1e-6, 1e-6),
  });
  // A slope below 0 would be noise around 0.
  return { slope: Math.max(0, slope!), level: level! };
}

function logitOf(w: Float64Array, { at, value }: Sparse): number {
  let l = 0;
  for (let s = 0; s < at.length; s++) l += w[at[s]!]! * value[s]!;
  return l;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
