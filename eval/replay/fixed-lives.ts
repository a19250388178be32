/** Lives that learn nothing: always one model, a cascade with an imperfect judge, and the oracle. */
import { deriveSeed, hashFraction } from '../../datasets/index.ts';
import { bestNow, call, type Life, newLife } from './play.ts';
import { BLIND_OUTAGE, enter, leave, newConversation, reachable, type Stream } from './stream.ts';

/** The first of `order` that can be reached answers every prompt. */
export function playFixed(stream: Stream, order: readonly number[]): Life {
  const n = stream.rows.length;
  const life = newLife(n);
  const talk = newConversation();
  for (let t = 0; t < n; t++) {
    enter(stream, t, talk);
    const open = reachable(stream, t);
    const j = order.find((k) => open.includes(k));
    if (j === undefined) continue;
    life.failures[t] = failuresBefore(stream, t, order, j);
    call(stream, t, j, talk, life);
    leave(stream, t, j, talk);
  }
  return life;
}

/** Knows each outcome beforehand, and takes the greatest utility of the moment: it does not plan a conversation. */
export function playOracle(stream: Stream, qualityPerUsd: number): Life {
  const n = stream.rows.length;
  const life = newLife(n);
  const talk = newConversation();
  for (let t = 0; t < n; t++) {
    enter(stream, t, talk);
    const best = bestNow(stream, t, talk, qualityPerUsd);
    if (best === null) continue;
    call(stream, t, best.column, talk, life);
    leave(stream, t, best.column, talk);
  }
  return life;
}

export interface CascadeOptions {
  /** Columns, from the first asked to the last. */
  readonly chain: readonly number[];
  /** Share of answers that the judge gets wrong, in [0, 1], whichever way. */
  readonly judgeError: number;
  /** USD of one judgement. */
  readonly judgeUsd: number;
}

/** Quality from which an answer is a good one, where quality is graded. */
const GOOD = 0.5;

/**
 * Asks the chain in turn until the judge is content. Every call is paid for, and every judgement; the last of the chain
 * is not judged, since nothing would follow from it.
 * @param order who answers where nobody of the chain can
 */
export function playCascade(
  stream: Stream,
  { chain, judgeError, judgeUsd }: CascadeOptions,
  order: readonly number[],
  idOf: (t: number) => string,
  seed: number,
): Life & { readonly judgements: number; readonly escalated: number } {
  const n = stream.rows.length;
  const life = newLife(n);
  const talk = newConversation();
  const draw = deriveSeed(seed, 'replay-judge');
  let judgements = 0;
  let escalated = 0;
  for (let t = 0; t < n; t++) {
    enter(stream, t, talk);
    const open = reachable(stream, t);
    const models = chain.filter((j) => open.includes(j));
    if (models.length === 0) models.push(...order.filter((j) => open.includes(j)).slice(0, 1));
    if (models.length === 0) continue;
    life.failures[t] = failuresBefore(stream, t, [...chain, ...order], models[0]!);
    for (const [k, j] of models.entries()) {
      call(stream, t, j, talk, life);
      if (k === models.length - 1) break;
      judgements++;
      life.extraUsd[t]! += judgeUsd;
      const errs = hashFraction(`${idOf(t)}\0${j}`, draw) < judgeError;
      if (life.quality[t]! >= GOOD !== errs) break;
      escalated++;
    }
    leave(stream, t, life.column[t]!, talk);
  }
  return { ...life, judgements, escalated };
}

/** Counts models before `j` in the order that an unannounced outage would have let fail. */
function failuresBefore(stream: Stream, t: number, order: readonly number[], j: number): number {
  let failed = 0;
  for (const k of order) {
    if (k === j) break;
    if (stream.state[t * stream.models + k] === BLIND_OUTAGE && !Number.isNaN(stream.quality[t * stream.models + k]!)) {
      failed++;
    }
  }
  return failed;
}
