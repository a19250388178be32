import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AttemptRecord } from '../../../server/db/records.ts';
import { onOwnClock } from '../../own-clock.ts';
import { candidate, completion, until, word } from '../fakes.ts';
import {
  after,
  askedOf,
  bytes,
  failing,
  fine,
  json,
  run,
  type Step,
  scripted,
  silent,
  stream,
  targetAt,
} from './scripted.ts';

onOwnClock();

const rejections: unknown[] = [];
const note = (error: unknown) => rejections.push(error);
beforeEach(() => process.on('unhandledRejection', note));
afterEach(async () => {
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.off('unhandledRejection', note);
  expect(rejections.splice(0)).toEqual([]);
});

const hedging = (more: object = {}, retry: object = {}) => ({
  retry: { hedgeAfterMs: 40, retries: 0, ...retry },
  ...more,
});

/** Notes when it is hung up on. */
function watched(step: Step) {
  let hungUpAt: number | undefined;
  const seen: Step = (call) => {
    call.signal.addEventListener('abort', () => {
      hungUpAt ??= performance.now();
    });
    return step(call);
  };
  return { step: seen, hungUpAt: () => hungUpAt };
}

const brief = ({ model, purpose, status, ordinal }: AttemptRecord) => [ordinal, model, purpose, status];

test('a first that answers in time is alone', async () => {
  const one = scripted('one', fine);
  const two = scripted('two', fine);
  const { call, failed } = await run([...targetAt(one, 'a'), ...targetAt(two, 'b')], { config: hedging() });
  await new Promise((resolve) => setTimeout(resolve, 80));
  expect(call?.target.id).toBe('one/a');
  expect(two.calls).toHaveLength(0);
  expect(failed).toEqual([]);
});

test('the next joins a slow first after hedgeAfterMs, and the slower is hung up on at once', async () => {
  const slow = watched(silent);
  const one = scripted('one', slow.step);
  const two = scripted('two', fine);
  const { call, failed } = await run([...targetAt(one, 'a'), ...targetAt(two, 'b')], { config: hedging() });
  const answeredAt = performance.now();
  expect(call?.target.id).toBe('two/b');
  expect(call?.attempts).toBe(2);
  expect(two.calls[0]!.at - one.calls[0]!.at).toBe(40);
  await until(() => failed.length === 1);
  expect(slow.hungUpAt()).toBe(answeredAt);
  expect(failed.map(brief)).toEqual([[0, 'one/a', 'answer', 'cancelled']]);
  expect(call?.finish({ status: 'ok', usage: null, outputChars: 4 })).toMatchObject({ purpose: 'hedge', ordinal: 1 });
});

test('the first may still win, and then the second is the one given up', async () => {
  const slow = watched(silent);
  const one = scripted('one', after(90, fine));
  const two = scripted('two', slow.step);
  const { call, failed } = await run([...targetAt(one, 'a'), ...targetAt(two, 'b')], { config: hedging() });
  expect(call?.target.id).toBe('one/a');
  await until(() => failed.length === 1);
  expect(slow.hungUpAt()).toBeDefined();
  expect(failed.map(brief)).toEqual([[1, 'two/b', 'hedge', 'cancelled']]);
});

test('whoever is given up is not held to be broken', async () => {
  const one = scripted('one', silent);
  const two = scripted('two', fine);
  const targets = [...targetAt(one, 'a'), ...targetAt(two, 'b')];
  const { breaker } = await run(targets, { config: hedging() });
  for (let i = 0; i < 5; i++) await run(targets, { config: hedging(), breaker });
  expect(targets.map((target) => breaker.rests(target))).toEqual([false, false]);
});

test('when the second fails first, the first is still waited for', async () => {
  const one = scripted('one', after(120, fine));
  const two = scripted('two', failing(500));
  const { call, failed } = await run([...targetAt(one, 'a'), ...targetAt(two, 'b')], { config: hedging() });
  expect(call?.target.id).toBe('one/a');
  expect(failed.map(brief)).toEqual([[1, 'two/b', 'hedge', 'error']]);
});

test('when both fail, the next of the list is asked', async () => {
  const one = scripted('one', after(80, failing(500)));
  const two = scripted('two', after(10, failing(503)));
  const three = scripted('three', fine);
  const targets = [...targetAt(one, 'a'), ...targetAt(two, 'b'), ...targetAt(three, 'c')];
  const { call, failed } = await run(targets, { config: hedging() });
  expect(call?.target.id).toBe('three/c');
  expect(failed.map(({ status }) => status)).toEqual(['error', 'error']);
});

test('there is no second one beyond maxAttempts', async () => {
  const one = scripted('one', after(100, fine));
  const two = scripted('two', fine);
  const { call } = await run([...targetAt(one, 'a'), ...targetAt(two, 'b')], { config: hedging({ maxAttempts: 1 }) });
  expect(call?.target.id).toBe('one/a');
  expect(two.calls).toHaveLength(0);
});

test('an answer that comes too late is on record with what it cost', async () => {
  // Its answer is on the way already when it is told to stop.
  const late: Step = async ({ signal }) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    return json(completion('late', { prompt_tokens: 100, completion_tokens: 50 }));
  };
  const one = scripted('one', late);
  const two = scripted('two', fine);
  const targets = [...targetAt(one, 'a', candidate('one/a', 10)), ...targetAt(two, 'b')];
  const { failed } = await run(targets, { config: hedging() });
  await until(() => failed.length === 1);
  // Given up with the head there and nothing of the body: the 10 tokens of input, estimated, at 10 USD per million.
  expect(failed[0]).toMatchObject({ status: 'cancelled', purpose: 'answer' });
  expect(failed[0]!.costUsd).toBeCloseTo(1e-4, 12);
});

test('a stream that had begun is hung up on', async () => {
  let released = false;
  async function* endless({ signal }: { signal: AbortSignal }) {
    try {
      yield* bytes(': thinking\n\n');
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    } finally {
      released = true;
    }
  }
  const one = scripted('one', (call) => ({ ...stream(), body: endless(call) }));
  const two = scripted('two', () => stream(word('hello'), word('', 'stop'), 'data: [DONE]\n\n'));
  const { call, failed } = await run([...targetAt(one, 'a'), ...targetAt(two, 'b')], {
    asked: askedOf({ stream: true }),
    config: hedging(),
  });
  expect(call?.target.id).toBe('two/b');
  await until(() => failed.length === 1 && released);
  expect(failed[0]).toMatchObject({ status: 'cancelled' });
});

test('a client that leaves ends both', async () => {
  const slow = [watched(silent), watched(silent)];
  const one = scripted('one', slow[0]!.step);
  const two = scripted('two', slow[1]!.step);
  const leaving = new AbortController();
  const running = run([...targetAt(one, 'a'), ...targetAt(two, 'b')], { config: hedging(), life: leaving.signal });
  await until(() => two.calls.length === 1);
  const leftAt = performance.now();
  leaving.abort(new (await import('../../../server/forward/watch.ts')).GivenUp('UPSTREAM_CLOSED', 'left', true));
  const { error, failed } = await running;
  expect(error).toMatchObject({ blame: 'cancelled' });
  for (const { hungUpAt } of slow) expect(hungUpAt()).toBe(leftAt);
  expect(failed.map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
});

test('a client that leaves before the second has begun calls nobody else', async () => {
  const one = scripted('one', silent);
  const two = scripted('two', fine);
  const leaving = new AbortController();
  const running = run([...targetAt(one, 'a'), ...targetAt(two, 'b')], { config: hedging(), life: leaving.signal });
  await until(() => one.calls.length === 1);
  leaving.abort(new Error('left'));
  await running;
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(two.calls).toHaveLength(0);
});

test('a request that cannot be put to the second leaves the first alone', async () => {
  // `logprobs` is the chat protocol's own.
  const one = scripted('one', after(100, fine));
  const two = scripted('two', fine, { protocol: 'messages' });
  const { call } = await run([...targetAt(one, 'a'), ...targetAt(two, 'b')], {
    asked: askedOf({ logprobs: true }),
    config: hedging(),
  });
  expect(call?.target.id).toBe('one/a');
  expect(two.calls).toHaveLength(0);
});

test('what cannot be read for the second, of a model that the client named, hangs up on the first', async () => {
  const slow = watched(silent);
  const one = scripted('one', slow.step);
  const two = scripted('two', fine, { protocol: 'messages' });
  const messages = [{ role: 'user', content: [{ type: 'video_url' }] }];
  const { error } = await run([...targetAt(one, 'a'), ...targetAt(two, 'b')], {
    asked: askedOf({ messages }, 'chat', false),
    config: hedging(),
  });
  expect(error?.code).toBe('INVALID_REQUEST');
  expect(slow.hungUpAt()).toBeDefined();
});
