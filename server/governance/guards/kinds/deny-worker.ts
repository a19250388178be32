/** The thread in which a deny-list's patterns are matched against long texts. */
import { parentPort } from 'node:worker_threads';
import { type FindRanges, type RangesQuestion, type RangesReply, rangesOf } from './deny-patterns.ts';

/** Those of the policy in force, and of a few before it. */
const MOST_KEPT = 100;
const compiled = new Map<string, FindRanges>();

function finderOf(patterns: readonly string[]): FindRanges {
  const key = JSON.stringify(patterns);
  let find = compiled.get(key);
  if (find === undefined) {
    if (compiled.size >= MOST_KEPT) compiled.clear();
    find = rangesOf(patterns);
    compiled.set(key, find);
  }
  return find;
}

const port = parentPort!;
port.on('message', ({ id, patterns, text }: RangesQuestion) => {
  let reply: RangesReply;
  try {
    reply = { id, ranges: finderOf(patterns)(text, 0) };
  } catch {
    reply = { id, ranges: null };
  }
  port.postMessage(reply);
});
