/** Matches patterns in a thread of its own: a long answer takes milliseconds that other requests need not wait for. */
import { parentPort } from 'node:worker_threads';
import { compilePattern, type Matches } from './pattern-engine.ts';
import type { PatternQuestion, PatternReply } from './patterns.ts';

/** Those of a configuration and of the one before it. */
const MOST_KEPT = 1000;
const compiled = new Map<string, Matches>();

function matches(pattern: string, text: string): boolean {
  let test = compiled.get(pattern);
  if (test === undefined) {
    if (compiled.size >= MOST_KEPT) compiled.clear();
    test = compilePattern(pattern);
    compiled.set(pattern, test);
  }
  return test(text);
}

const port = parentPort!;
port.on('message', ({ id, text, must, mustNot }: PatternQuestion) => {
  let reply: PatternReply;
  try {
    const isRight =
      must.every((pattern) => matches(pattern, text)) && !mustNot.some((pattern) => matches(pattern, text));
    reply = { id, isRight };
  } catch {
    // They were compiled when the configuration was read, so this is the engine's own trouble.
    reply = { id, isRight: null };
  }
  port.postMessage(reply);
});
