/** One life: a policy walks a stream, decision by decision, and everything it did and paid is kept. */
import { deriveSeed, type Random, seededRandom } from '../../datasets/index.ts';
import { oddsOf, type Rule } from '../../router/policy/rule.ts';
import type { Part } from '../part.ts';
import { Bills } from './bills.ts';
import { type Believe, type Learner, Log } from './learner.ts';
import {
  BLIND_OUTAGE,
  type Conversation,
  contextUsd,
  enter,
  KNOWN_OUTAGE,
  leave,
  newConversation,
  reachable,
  type Stream,
  switchUsd,
} from './stream.ts';

/** What happened at each decision; every array has length T. */
export interface Life {
  /** Column that answered; −1 where nobody could. */
  readonly column: Int16Array;
  readonly quality: Float64Array;
  /** USD of the calls for the answer, context of the conversation included. */
  readonly callsUsd: Float64Array;
  /** USD beside the calls: routing, audits, judges. */
  readonly extraUsd: Float64Array;
  /** Of `callsUsd`: what reading the conversation anew cost more than reading it from the cache. */
  readonly switchUsd: Float64Array;
  /** Calls that an outage let fail. */
  readonly failures: Uint8Array;
}

/** And what only a learning router has. */
export interface LearningLife extends Life {
  /** 1 where the choice was not the greedy one. */
  readonly explored: Uint8Array;
  /** Utility expected of the draw minus that of the greedy choice, from the true outcomes and the exact distribution. */
  readonly exploration: Float64Array;
  /** The same for what was drawn. */
  readonly explorationDrawn: Float64Array;
  /** Best utility that was to be had, in the state that the router had brought about. */
  readonly bestUtility: Float64Array;
  readonly retrainings: number;
  /** Answers learned from. */
  readonly told: number;
  readonly auditUsd: number;
  readonly audits: number;
}

export const newLife = (n: number): Life => ({
  column: new Int16Array(n).fill(-1),
  quality: new Float64Array(n),
  callsUsd: new Float64Array(n),
  extraUsd: new Float64Array(n),
  switchUsd: new Float64Array(n),
  failures: new Uint8Array(n),
});

/** u = quality − λ · USD of the calls; 0 where nobody could answer. */
export const utilityOf = (quality: number, usd: number, qualityPerUsd: number): number => quality - qualityPerUsd * usd;

/** Calls model j, and writes down what it brought. */
export function call(stream: Stream, t: number, j: number, talk: Conversation, life: Life): void {
  const at = t * stream.models + j;
  life.column[t] = j;
  life.quality[t] = stream.quality[at]!;
  life.callsUsd[t]! += stream.costUsd[at]! + contextUsd(stream, t, j, talk);
  life.switchUsd[t]! += switchUsd(stream, t, j, talk);
}

/** The greatest utility to be had now, by the true outcomes; null where nobody can answer. */
export function bestNow(
  stream: Stream,
  t: number,
  talk: Conversation,
  qualityPerUsd: number,
): { column: number; utility: number } | null {
  let best: { column: number; utility: number } | null = null;
  for (const j of reachable(stream, t)) {
    const at = t * stream.models + j;
    const usd = stream.costUsd[at]! + contextUsd(stream, t, j, talk);
    const utility = utilityOf(stream.quality[at]!, usd, qualityPerUsd);
    if (best === null || utility > best.utility) best = { column: j, utility };
  }
  return best;
}

/** What a router in a conversation does about its cache: nothing; counts it into the price; or keeps the first model. */
export const STICKINESS = ['none', 'priced', 'pinned'] as const;
export type Stickiness = (typeof STICKINESS)[number];

export interface RouterOptions {
  readonly rule: Rule & { readonly qualityPerUsd: number };
  readonly retrainEvery: number;
  /** `full`: every model's outcome is told; a number: the share of answers whose outcome is told. */
  readonly feedback: 'full' | number;
  readonly stickiness: Stickiness;
  /** USD of one decision. */
  readonly routerUsd: number;
  readonly audit: { readonly share: number; readonly column: number; readonly judgeUsd: number };
  readonly seed: number;
}

/**
 * A router that learns as it goes. It decides by what it has learned so far, sees only what it is told, and learns anew
 * every `retrainEvery` decisions.
 * @param warm rows of the part whose every outcome is known beforehand
 */
export async function playRouter(
  stream: Stream,
  part: Part,
  learner: Learner,
  warm: readonly number[],
  priceless: ArrayLike<number>,
  options: RouterOptions,
): Promise<LearningLife> {
  const { rule, retrainEvery, feedback, stickiness, routerUsd, audit, seed } = options;
  const lambda = rule.qualityPerUsd;
  const n = stream.rows.length;
  const m = stream.models;
  const { table } = part;
  const life = newLife(n);
  const explored = new Uint8Array(n);
  const exploration = new Float64Array(n);
  const explorationDrawn = new Float64Array(n);
  const bestUtility = new Float64Array(n);
  // Streams of their own: asking for audits must not change what is explored.
  const draws = seededRandom(deriveSeed(seed, 'replay-draws'));
  const tells = seededRandom(deriveSeed(seed, 'replay-feedback'));
  const audited = seededRandom(deriveSeed(seed, 'replay-audits'));
  const log = new Log(table);
  const bills = new Bills(part, priceless);
  const tokensOf = (row: number, j: number) =>
    part.constantLength[row] === 1 ? Number.NaN : table.outputTokens[row * m + j]!;
  let told = 0;
  for (const row of warm) {
    for (let j = 0; j < m; j++) {
      if (Number.isNaN(table.quality[row * m + j]!)) continue;
      log.add(row, j, table.quality[row * m + j]!, tokensOf(row, j));
      bills.add(row, j, part.costUsd[row * m + j]!);
      told++;
    }
  }
  let believe: Believe = warm.length === 0 ? learner.start : await fitOn(learner, log, seed);
  let retrainings = 0;
  let lastTold = told;
  let audits = 0;
  let auditUsd = 0;
  const talk = newConversation();
  for (let from = 0; from < n; from += retrainEvery) {
    if (from > 0 && told > lastTold) {
      believe = await fitOn(learner, log, seed);
      lastTold = told;
      retrainings++;
    }
    const rows = stream.rows.slice(from, from + retrainEvery);
    const { quality: believed, outputTokens } = await believe(rows);
    const scale = bills.scales();
    for (let t = from; t < from + rows.length; t++) {
      enter(stream, t, talk);
      life.extraUsd[t]! += routerUsd;
      const best = bestNow(stream, t, talk, lambda);
      if (best === null) continue;
      bestUtility[t] = best.utility;
      const row = stream.rows[t]!;
      const open: number[] = [];
      for (let j = 0; j < m; j++) {
        if (!Number.isNaN(stream.quality[t * m + j]!) && stream.state[t * m + j] !== KNOWN_OUTAGE) open.push(j);
      }
      const pinned = stickiness === 'pinned' && open.includes(talk.last) ? open.indexOf(talk.last) : undefined;
      const quality = open.map((j) => believed[(t - from) * m + j]!);
      const usd = open.map((j) => {
        const tokens = outputTokens?.[(t - from) * m + j] ?? Number.NaN;
        const own = bills.expected(row, j, tokens) * scale[j]! * stream.factor[t * m + j]!;
        return own + (stickiness === 'none' ? 0 : contextUsd(stream, t, j, talk));
      });
      // A pinned conversation explores where it begins: another model in its midst would cost the cache.
      const { probabilities, greedy } = oddsOf(
        quality,
        usd,
        pinned === undefined ? rule : { ...rule, exploration: 0 },
        pinned,
      );
      const chosen = pick(probabilities, draws);
      const truth = open.map((j) => trueUtility(stream, t, j, talk, lambda));
      const up = open.map((j) => stream.state[t * m + j] !== BLIND_OUTAGE);
      // Whoever does not answer is followed by the next best guess.
      const order = [...open.keys()].sort(
        (a, b) => quality[b]! - lambda * usd[b]! - (quality[a]! - lambda * usd[a]!) || a - b,
      );
      const answering = (k: number): number => (up[k] ? k : order.find((o) => up[o])!);
      const answered = answering(chosen);
      life.failures[t] = up[chosen]
        ? 0
        : 1 + order.slice(0, order.indexOf(answered)).filter((o) => o !== chosen).length;
      const greedyUtility = greedy.reduce((sum, k) => sum + truth[answering(k)]!, 0) / greedy.length;
      let expected = 0;
      probabilities.forEach((p, k) => {
        if (p > 0) expected += p * truth[answering(k)]!;
      });
      exploration[t] = expected - greedyUtility;
      if (!greedy.includes(chosen)) {
        explored[t] = 1;
        explorationDrawn[t] = truth[answered]! - greedyUtility;
      }
      const j = open[answered]!;
      call(stream, t, j, talk, life);
      bills.add(row, j, stream.costUsd[t * m + j]! / (stream.factor[t * m + j]! || 1));
      const tell = (column: number) => {
        log.add(row, column, stream.quality[t * m + column]!, tokensOf(row, column));
        told++;
      };
      if (feedback === 'full') for (const k of reachable(stream, t)) tell(k);
      else if (tells() < feedback) tell(j);
      if (audited() < audit.share) {
        audits++;
        let usdOfAudit = audit.judgeUsd;
        if (j !== audit.column && reachable(stream, t).includes(audit.column)) {
          usdOfAudit += stream.costUsd[t * m + audit.column]!;
          tell(audit.column);
        }
        tell(j);
        auditUsd += usdOfAudit;
        life.extraUsd[t]! += usdOfAudit;
      }
      leave(stream, t, j, talk);
    }
  }
  return {
    ...life,
    explored,
    exploration,
    explorationDrawn,
    bestUtility,
    retrainings,
    told,
    auditUsd,
    audits,
  };
}

const trueUtility = (stream: Stream, t: number, j: number, talk: Conversation, lambda: number): number =>
  utilityOf(
    stream.quality[t * stream.models + j]!,
    stream.costUsd[t * stream.models + j]! + contextUsd(stream, t, j, talk),
    lambda,
  );

function fitOn(learner: Learner, log: Log, seed: number): Promise<Believe> {
  const { table, rows } = log.table();
  return learner.fit(table, rows, seed);
}

function pick(probabilities: Float64Array, random: Random): number {
  const draw = random();
  let sum = 0;
  let last = 0;
  for (let k = 0; k < probabilities.length; k++) {
    if (probabilities[k]! <= 0) continue;
    sum += probabilities[k]!;
    last = k;
    if (draw < sum) return k;
  }
  return last;
}
