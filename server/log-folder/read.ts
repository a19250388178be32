/**
 * An exported log as learning and evaluation read it: the same rows in the same order as the database gives (learning/log.ts,
 * learning/fit-input.ts), the newest day first, a day's judged answers in memory at a time.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { RoutingError } from '../../datasets/index.ts';
import type { RankedCandidate } from '../../router/decision.ts';
import type { FitMessage } from '../learning/fit-input.ts';
import {
  type JudgedRow,
  type Log,
  type LogPage,
  MAX_SAMPLES,
  type RankedSample,
  Sieve,
  samplesOf,
} from '../learning/log.ts';
import { MAX_UNJUDGED, type ObservationFacts, type Unjudged } from '../learning/observation.ts';
import { type ExportedTable, MODEL_CHANGES } from './columns.ts';

/** Rows of a message to the fitting thread. */
const PAGE = 250;
/** As the database is asked (learning/observation.ts): the time is cut into so many pieces. */
const SLICES = 100;

type Values = Record<string, unknown>;

export interface FolderLog {
  /** What fitting learns from, as `fitInput` has it of a database. @throws `INVALID_ROW`, `TRUNCATED_FILE` */
  fitInput(asked: {
    readonly encoderId: string;
    readonly maxSamples: number;
    readonly hints?: boolean;
  }): AsyncGenerator<FitMessage>;
  /** The newest judged answers with what was forecast of them, oldest first; hints are none. */
  read(encoderId: string, limit?: number): Promise<Log & { readonly samples: readonly RankedSample[] }>;
}

/** @throws `MISSING_FILE`, `WRONG_FORMAT` where the folder holds no exported log */
export function folderLog(dir: string): FolderLog {
  if (!existsSync(dir)) throw new RoutingError('MISSING_FILE', `${dir}: no such folder`);
  const days = daysIn(dir);
  if (days.length === 0) {
    throw new RoutingError(
      'WRONG_FORMAT',
      `${dir}: no exported log: it has no decisions/date=YYYY-MM-DD; make one with pointsman export --out DIR --embeddings`,
    );
  }
  return {
    async *fitInput({ encoderId, maxSamples, hints = false }) {
      const sieve = new Sieve(encoderId, maxSamples);
      sieve.leftOut.notAnswered = await judgedWithoutAnswer(dir, days);
      let from = Number.POSITIVE_INFINITY;
      let to = Number.NEGATIVE_INFINITY;
      for await (const page of judgedPages(dir, days, { encoderId, hints }, sieve)) {
        for (const { createdAt } of page.rows) {
          from = Math.min(from, createdAt.getTime());
          to = Math.max(to, createdAt.getTime());
        }
        yield { page };
      }
      const unjudged = from <= to ? await unjudgedOf(dir, days, { from, to }) : null;
      yield {
        rest: { unjudged, changes: await modelChanges(dir), leftOut: sieve.leftOut, limited: sieve.limited },
      };
    },
    async read(encoderId, limit = MAX_SAMPLES) {
      const sieve = new Sieve(encoderId, limit);
      sieve.leftOut.notAnswered = await judgedWithoutAnswer(dir, days);
      const samples: RankedSample[] = [];
      const forecasts = new Map<string, string>();
      for await (const page of judgedPages(dir, days, { encoderId, hints: false }, sieve, forecasts)) {
        for (const sample of samplesOf(page)) {
          samples.push({ ...sample, ranked: JSON.parse(forecasts.get(sample.id)!) as RankedCandidate[] });
        }
      }
      return { samples: samples.reverse(), leftOut: sieve.leftOut, limited: sieve.limited };
    },
  };
}

/** Newest first. */
function daysIn(dir: string): string[] {
  const folder = join(dir, 'decisions');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => /^date=(\d{4}-\d\d-\d\d)$/.exec(name)?.[1] ?? [])
    .sort()
    .reverse();
}

/** Rows of a day's table, a thousand at a time, of these columns alone. */
async function* rowsOf(
  dir: string,
  table: ExportedTable | typeof MODEL_CHANGES,
  day: string | null,
  columns: readonly string[],
): AsyncGenerator<Values> {
  const folder = day === null ? join(dir, table) : join(dir, table, `date=${day}`);
  if (!existsSync(folder)) return;
  const [{ asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects }, { compressors }] = await Promise.all([
    import('hyparquet'),
    import('hyparquet-compressors'),
  ]);
  const files = readdirSync(folder).filter((name) => name.endsWith('.parquet'));
  for (const name of files.sort()) {
    const path = join(folder, name);
    try {
      const file = await asyncBufferFromFile(path);
      const metadata = await parquetMetadataAsync(file);
      const known = new Set(metadata.schema.map(({ name }) => name));
      const missing = columns.filter((column) => !known.has(column));
      if (missing.length > 0) {
        throw new RoutingError('INVALID_ROW', `${path}: has no column ${missing.join(', ')}`);
      }
      const n = Number(metadata.num_rows);
      for (let rowStart = 0; rowStart < n; rowStart += 1000) {
        const rowEnd = Math.min(n, rowStart + 1000);
        yield* await parquetReadObjects({
          // Bytes stay bytes.
          ...{ file, metadata, compressors, rowStart, rowEnd, columns: [...columns], utf8: false },
        });
      }
    } catch (error) {
      if (error instanceof RoutingError) throw error;
      throw new RoutingError('TRUNCATED_FILE', `${path}: cannot be read: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
}

/** What a judged answer is made of; without embeddings every row is one that does not teach. */
const DECISION_COLUMNS = [
  ...[
    'id',
    'created_at',
    'tenant',
    'key',
    'tags',
    'session',
    'routed',
    'model',
    'propensity',
    'distribution',
    'ranked',
  ],
  ...['facts', 'difficulty', 'out_of_domain', 'encoder_id', 'explorable', 'explored', 'audit_probability'],
];
const OUTCOME_COLUMNS = [
  ...['decision_id', 'model_id', 'quality', 'kind', 'weight', 'audit_quality', 'output_tokens', 'cost_usd'],
  ...['latency_ms', 'first_labelled_at'],
];

const textOf = (value: unknown): string => value as string;
const numberOf = (value: unknown): number | null => (value === null || value === undefined ? null : Number(value));

interface Asked {
  readonly encoderId: string;
  readonly hints: boolean;
}

/** @param forecasts where what was forecast is put, as JSON by decision; without it that is not read */
async function* judgedPages(
  dir: string,
  days: readonly string[],
  asked: Asked,
  sieve: Sieve,
  forecasts?: Map<string, string>,
): AsyncGenerator<LogPage> {
  const columns = [...DECISION_COLUMNS, ...(forecasts === undefined ? [] : ['ranked'])];
  if (await holds(dir, days[0]!, 'embedding')) columns.push('embedding');
  // Pages go across days, and what does not teach is sifted out of each, as it is with the database.
  let next: JudgedRow[] = [];
  const page = (): LogPage => {
    const rows = next.slice(0, PAGE).filter((row) => sieve.keeps(row));
    next = next.slice(PAGE);
    return { rows };
  };
  for (const day of days) {
    next.push(...(await judgedOn(dir, day, columns, asked, forecasts)));
    while (next.length >= PAGE) {
      const full = page();
      if (full.rows.length > 0) yield full;
      if (sieve.limited) return;
    }
  }
  const rest = page();
  if (rest.rows.length > 0) yield rest;
}

/** A day's judged answers, newest first. */
async function judgedOn(
  dir: string,
  day: string,
  columns: readonly string[],
  { encoderId, hints }: Asked,
  forecasts?: Map<string, string>,
): Promise<JudgedRow[]> {
  const judged = new Map<string, Values[]>();
  for await (const row of rowsOf(dir, 'outcomes', day, OUTCOME_COLUMNS)) {
    if (row.kind !== 'verdict' && !hints) continue;
    const rows = judged.get(textOf(row.decision_id));
    if (rows === undefined) judged.set(textOf(row.decision_id), [row]);
    else rows.push(row);
  }
  if (judged.size === 0) return [];
  const providers = await providersOf(dir, day, judged);
  const rows: JudgedRow[] = [];
  for await (const decision of rowsOf(dir, 'decisions', day, columns)) {
    const outcomes = judged.get(textOf(decision.id)) ?? [];
    for (const outcome of outcomes) rows.push(judgedRow(decision, outcome, providers, encoderId));
    if (outcomes.length > 0) forecasts?.set(textOf(decision.id), textOf(decision.ranked));
  }
  return rows.sort(
    (a, b) =>
      b.createdAt.getTime() - a.createdAt.getTime() ||
      (a.id < b.id ? -1 : a.id > b.id ? 1 : a.executed < b.executed ? -1 : 1),
  );
}

async function holds(dir: string, day: string, column: string): Promise<boolean> {
  try {
    for await (const _ of rowsOf(dir, 'decisions', day, [column])) return true;
    return false;
  } catch (error) {
    if ((error as { code?: string }).code === 'INVALID_ROW') return false;
    throw error;
  }
}

/** The last call of a decision to a model, as "ID\nMODEL" → its provider. */
async function providersOf(
  dir: string,
  day: string,
  judged: ReadonlyMap<string, unknown>,
): Promise<Map<string, string>> {
  const last = new Map<string, { ordinal: number; provider: string }>();
  for await (const row of rowsOf(dir, 'attempts', day, ['decision_id', 'ordinal', 'provider', 'model'])) {
    if (!judged.has(textOf(row.decision_id))) continue;
    const place = `${row.decision_id}\n${row.model}`;
    const ordinal = Number(row.ordinal);
    const known = last.get(place);
    if (known === undefined || ordinal > known.ordinal) last.set(place, { ordinal, provider: textOf(row.provider) });
  }
  return new Map([...last].map(([place, { provider }]) => [place, provider]));
}

function judgedRow(d: Values, o: Values, providers: ReadonlyMap<string, string>, encoderId: string): JudgedRow {
  const embedding = d.embedding as Uint8Array | null | undefined;
  const own = embedding !== null && embedding !== undefined && d.encoder_id === encoderId;
  return {
    id: textOf(d.id),
    executed: textOf(o.model_id),
    createdAt: d.created_at as Date,
    routed: d.routed as boolean,
    provider: providers.get(`${d.id}\n${o.model_id}`) ?? null,
    encoderId: d.encoder_id as string | null,
    bytes: embedding?.length ?? null,
    tenant: textOf(d.tenant),
    session: d.session as string | null,
    sampled: textOf(d.model),
    propensity: d.propensity as number,
    distribution: textOf(d.distribution),
    // In a folder all columns are what they say.
    candidates: null,
    candidateList: null,
    facts: textOf(d.facts),
    embedding: own ? Buffer.from(embedding.buffer, embedding.byteOffset, embedding.length).toString('base64') : '',
    quality: o.quality as number,
    outputTokens: numberOf(o.output_tokens),
    costUsd: numberOf(o.cost_usd),
    key: d.key as string | null,
    tags: textOf(d.tags),
    difficulty: numberOf(d.difficulty),
    outOfDomain: numberOf(d.out_of_domain),
    explorable: d.explorable as boolean,
    explored: d.explored as boolean,
    kind: o.kind as JudgedRow['kind'],
    weight: o.weight as number,
    auditQuality: numberOf(o.audit_quality),
    auditProbability: numberOf(d.audit_probability),
    latencyMs: numberOf(o.latency_ms),
    firstLabelledAt: o.first_labelled_at as Date,
  };
}

async function judgedWithoutAnswer(dir: string, days: readonly string[]): Promise<number> {
  let count = 0;
  for (const day of days) {
    const said = new Set<string>();
    for await (const row of rowsOf(dir, 'feedback', day, ['decision_id', 'score'])) {
      if ((row.score as number) >= 0 && (row.score as number) <= 1) said.add(textOf(row.decision_id));
    }
    if (said.size === 0) continue;
    for await (const row of rowsOf(dir, 'decisions', day, ['id', 'executed_model'])) {
      if (row.executed_model === null && said.has(textOf(row.id))) count++;
    }
  }
  return count;
}

/** As `readUnjudged` (learning/observation.ts) reads them: the same moments, the same rows. */
async function unjudgedOf(
  dir: string,
  days: readonly string[],
  { from, to }: { readonly from: number; readonly to: number },
): Promise<Unjudged> {
  const first = new Date(from).toISOString().slice(0, 10);
  const last = new Date(to).toISOString().slice(0, 10);
  const within = days.filter((day) => day >= first && day <= last).reverse();
  let n = 0;
  for (const day of within) {
    for await (const { created_at } of rowsOf(dir, 'decisions', day, ['created_at'])) {
      const at = (created_at as Date).getTime();
      if (at >= from && at <= to) n++;
    }
  }
  const share = Math.min(1, MAX_UNJUDGED / Math.max(1, n));
  const slices = share === 1 ? 1 : SLICES;
  const length = (to + 1 - from) / slices;
  const found: {
    readonly at: number;
    readonly id: string;
    readonly slice: number;
    readonly facts: ObservationFacts;
  }[] = [];
  for (const day of within) {
    const judged = new Set<string>();
    for await (const row of rowsOf(dir, 'outcomes', day, ['decision_id', 'kind'])) {
      if (row.kind === 'verdict') judged.add(textOf(row.decision_id));
    }
    const columns = ['id', 'created_at', 'tenant', 'executed_model', 'difficulty', 'out_of_domain', 'facts', 'routed'];
    for await (const row of rowsOf(dir, 'decisions', day, columns)) {
      const at = (row.created_at as Date).getTime();
      const slice = sliceOf(at, { from, length, slices, share });
      if (slice === null || row.routed !== true || row.executed_model === null || judged.has(textOf(row.id))) continue;
      const { chars } = JSON.parse(textOf(row.facts)) as { chars?: unknown };
      const facts = {
        tenant: textOf(row.tenant),
        executed: textOf(row.executed_model),
        difficulty: numberOf(row.difficulty),
        outOfDomain: numberOf(row.out_of_domain),
        chars: Number(chars ?? 0),
      };
      found.push({ at, id: textOf(row.id), slice, facts });
    }
  }
  found.sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
  const rows: ObservationFacts[] = [];
  let visited = 0;
  for (let i = 0; visited < slices && rows.length < MAX_UNJUDGED; visited++) {
    for (; i < found.length && found[i]!.slice === visited; i++) rows.push(found[i]!.facts);
  }
  return { rows, share: (share * visited) / slices };
}

/** Which piece of the time a moment is read in; null: it is in none of the parts that are read. */
function sliceOf(
  at: number,
  { from, length, slices, share }: { from: number; length: number; slices: number; share: number },
): number | null {
  const guess = Math.floor((at - from) / length);
  // Ends are rounded: a moment at one may lie in the next piece.
  for (const k of [guess, guess + 1]) {
    const start = from + k * length;
    if (k >= 0 && k < slices && at >= Math.ceil(start) && at < Math.ceil(start + share * length)) return k;
  }
  return null;
}

async function modelChanges(dir: string): Promise<{ readonly model: string; readonly changedAt: number }[]> {
  const rows: Values[] = [];
  for await (const row of rowsOf(dir, MODEL_CHANGES, null, ['ordinal', 'model', 'changed_at'])) rows.push(row);
  rows.sort((a, b) => Number(a.ordinal) - Number(b.ordinal));
  return rows.map(({ model, changed_at }) => ({ model: textOf(model), changedAt: (changed_at as Date).getTime() }));
}
