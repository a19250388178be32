/** What a replay lives through: prompts in order, and what each model would have answered and cost at that moment. */
import {
  CHARS_PER_TOKEN,
  deriveSeed,
  hashFraction,
  promptChars,
  RoutingError,
  seededRandom,
} from '../../datasets/index.ts';
import { CONSTANT_TOKENS } from '../costs.ts';
import type { Part } from '../part.ts';
import type { ReplayEvent } from './events.ts';

/** State of a model at one decision. */
export const UP = 0;
export const KNOWN_OUTAGE = 1;
export const BLIND_OUTAGE = 2;

export interface Stream {
  /** Length T: rows of the part, in order. */
  readonly rows: readonly number[];
  readonly models: number;
  /** T × m, in [0, 1]; NaN where the model was never tried. */
  readonly quality: Float64Array;
  /** T × m, USD of the call without any context of the conversation; NaN where never tried. */
  readonly costUsd: Float64Array;
  /** T × m: price now / list price. */
  readonly factor: Float64Array;
  /** T × m: {@link UP}, {@link KNOWN_OUTAGE} or {@link BLIND_OUTAGE}. */
  readonly state: Uint8Array;
  /** T, tokens of the prompt itself. */
  readonly inputTokens: Float64Array;
  /** T × m, tokens of the answer; {@link CONSTANT_TOKENS} where unknown. */
  readonly outputTokens: Float64Array;
  /** T: 1 where a conversation begins; all 1 without sessions. */
  readonly begins: Uint8Array;
  /** m, USD per token of earlier turns: read anew, and from the provider's cache. 0 without sessions. */
  readonly freshUsd: Float64Array;
  readonly cachedUsd: Float64Array;
}

export interface SessionOptions {
  /** Mean turns of a conversation, > 1. */
  readonly turns: number;
  /** Cached price / input price by model, in [0, 1]; {@link cachedShare} where a model is not there. */
  readonly cachedShares: Readonly<Record<string, number>>;
  readonly cachedShare: number;
}

/**
 * @param rows rows of the part, in order
 * @param seed fixes the lengths of conversations and which answers an unannounced change spoils
 */
export function streamOf(
  part: Part,
  rows: readonly number[],
  events: readonly ReplayEvent[],
  sessions: SessionOptions | null,
  seed: number,
): Stream {
  const { table } = part;
  const m = table.modelIds.length;
  const n = rows.length;
  const quality = new Float64Array(n * m);
  const costUsd = new Float64Array(n * m);
  const outputTokens = new Float64Array(n * m);
  rows.forEach((r, t) => {
    for (let j = 0; j < m; j++) {
      quality[t * m + j] = table.quality[r * m + j]!;
      costUsd[t * m + j] = part.costUsd[r * m + j]!;
      const tokens = part.constantLength[r] === 1 ? Number.NaN : table.outputTokens[r * m + j]!;
      outputTokens[t * m + j] = Number.isNaN(tokens) ? CONSTANT_TOKENS : tokens;
    }
  });
  const factor = new Float64Array(n * m).fill(1);
  const state = new Uint8Array(n * m);
  for (const event of events) {
    const j = table.modelIds.indexOf(event.model);
    if (event.kind === 'price') {
      for (let t = event.at - 1; t < n; t++) {
        factor[t * m + j]! *= event.factor;
        costUsd[t * m + j]! *= event.factor;
      }
    } else if (event.kind === 'outage') {
      for (let t = event.from - 1; t < event.to; t++) state[t * m + j] = event.known ? KNOWN_OUTAGE : BLIND_OUTAGE;
    } else changeQuality(quality, m, j, event.at - 1, event.delta, (t) => table.prompts[rows[t]!]!.id, seed);
  }
  const begins = new Uint8Array(n).fill(1);
  const freshUsd = new Float64Array(m);
  const cachedUsd = new Float64Array(m);
  if (sessions !== null) {
    const random = seededRandom(deriveSeed(seed, 'replay-sessions'));
    // Geometric: after each turn the conversation ends with probability 1 / mean.
    for (let t = 1; t < n; t++) begins[t] = random() < 1 / sessions.turns ? 1 : 0;
    const unpriced = table.modelIds.filter((id) => table.models[id]?.inputUsdPerMTok === undefined);
    if (unpriced.length > 0) {
      throw new RoutingError(
        'INVALID_CONFIG',
        `--sessions needs input prices, and ${unpriced.join(', ')} has none in models.json; add inputUsdPerMTok`,
      );
    }
    table.modelIds.forEach((id, j) => {
      freshUsd[j] = table.models[id]!.inputUsdPerMTok! / 1e6;
      cachedUsd[j] = freshUsd[j]! * (sessions.cachedShares[id] ?? sessions.cachedShare);
    });
  }
  return {
    rows,
    models: m,
    quality,
    costUsd,
    factor,
    state,
    inputTokens: Float64Array.from(rows, (r) => promptChars(table.prompts[r]!) / CHARS_PER_TOKEN),
    outputTokens,
    begins,
    freshUsd,
    cachedUsd,
  };
}

/**
 * Outcomes stay outcomes: to lower the mean q̄ by δ, each answer is spoilt (quality 0) with probability δ / q̄; to raise
 * it, made right (quality 1) with probability δ / (1 − q̄). Beyond 0 and 1 it cannot go. The draw is by prompt id and seed.
 */
function changeQuality(
  quality: Float64Array,
  m: number,
  j: number,
  from: number,
  delta: number,
  idOf: (t: number) => string,
  seed: number,
): void {
  const n = quality.length / m;
  let sum = 0;
  let count = 0;
  for (let t = from; t < n; t++) {
    if (Number.isNaN(quality[t * m + j]!)) continue;
    sum += quality[t * m + j]!;
    count++;
  }
  if (count === 0) return;
  const mean = sum / count;
  const room = delta < 0 ? mean : 1 - mean;
  const share = room === 0 ? 0 : Math.min(1, Math.abs(delta) / room);
  const draw = deriveSeed(seed, `replay-change-${j}-${from}`);
  for (let t = from; t < n; t++) {
    if (Number.isNaN(quality[t * m + j]!)) continue;
    if (hashFraction(idOf(t), draw) < share) quality[t * m + j] = delta < 0 ? 0 : 1;
  }
}

/** Where a conversation stands for one policy. */
export interface Conversation {
  /** Tokens of all turns before this one. */
  contextTokens: number;
  /** Column that answered the turn before; −1 at the beginning. */
  last: number;
}

export const newConversation = (): Conversation => ({ contextTokens: 0, last: -1 });

/** Begins anew where the stream says so. */
export function enter(stream: Stream, t: number, talk: Conversation): void {
  if (stream.begins[t] === 1) {
    talk.contextTokens = 0;
    talk.last = -1;
  }
}

/** USD of the earlier turns as input to model j: from its cache where it answered the turn before, else read anew. */
export const contextUsd = (stream: Stream, t: number, j: number, { contextTokens, last }: Conversation): number =>
  contextTokens * (last === j ? stream.cachedUsd[j]! : stream.freshUsd[j]!) * stream.factor[t * stream.models + j]!;

/** What the same would have cost without its cache, less what it costs with it: ≥ 0, and 0 where the model stayed. */
export const switchUsd = (stream: Stream, t: number, j: number, { contextTokens, last }: Conversation): number =>
  last === j || last === -1
    ? 0
    : contextTokens * (stream.freshUsd[j]! - stream.cachedUsd[j]!) * stream.factor[t * stream.models + j]!;

/** The turn becomes context. */
export function leave(stream: Stream, t: number, j: number, talk: Conversation): void {
  talk.contextTokens += stream.inputTokens[t]! + stream.outputTokens[t * stream.models + j]!;
  talk.last = j;
}

/** Columns that could answer now. */
export function reachable(stream: Stream, t: number): number[] {
  const columns: number[] = [];
  for (let j = 0; j < stream.models; j++) {
    const at = t * stream.models + j;
    if (!Number.isNaN(stream.quality[at]!) && stream.state[at] === UP) columns.push(j);
  }
  return columns;
}
