/** The queue of work on answers that are out: bounded, a lane for each kind, and an end when the gateway stops. */
import { describe, expect, test } from 'vitest';
import { type Afterwork, AfterworkQueue, type Finished, type Job } from '../../server/afterwards.ts';
import { ANYBODY } from '../../server/callers.ts';
import { until } from './fakes.ts';

const warnings: unknown[][] = [];
const log = { warn: (...args: unknown[]) => void warnings.push(args) } as unknown as Job['log'];
const finished = { log } as Finished;
const aJob = (works: readonly Afterwork[], over: Partial<Job> = {}): Job => ({
  works,
  chars: 10,
  log,
  finished: () => finished,
  ...over,
});

/** Work that goes on until it is told to end. */
function held(name: string): Afterwork & { readonly begun: number; end(): void } {
  const ends: (() => void)[] = [];
  let begun = 0;
  return {
    name,
    wants: () => true,
    run: () => {
      begun++;
      return new Promise<void>((resolve) => void ends.push(resolve));
    },
    get begun() {
      return begun;
    },
    end: () => void ends.splice(0).forEach((end) => void end()),
  };
}
const quick = (name: string, run: Afterwork['run'] = async () => {}): Afterwork => ({ name, wants: () => true, run });

describe('what is bounded', () => {
  test('so many at work, so many waiting; the newest beyond are dropped and counted', async () => {
    const work = held('slow');
    const queue = new AfterworkQueue([work], { atWork: 2, waiting: 3 });
    for (let i = 0; i < 9; i++) queue.add(aJob([work]));
    await until(() => work.begun === 2);
    expect(queue.state).toMatchObject({ atWork: 2, waiting: 3, dropped: 4 });
    while (queue.state.done < 5) {
      work.end();
      await new Promise(setImmediate);
    }
    expect(queue.state).toEqual({ atWork: 0, waiting: 0, done: 5, failed: 0, dropped: 4 });
  });

  test('the characters kept, by all lanes together; one that is too large alone is still taken', async () => {
    const work = held('slow');
    const queue = new AfterworkQueue([work], { chars: 100 });
    queue.add(aJob([work], { chars: 1000 }));
    queue.add(aJob([work], { chars: 1 }));
    await until(() => work.begun === 1);
    expect(queue.state).toMatchObject({ atWork: 1, dropped: 1 });
    work.end();
    await until(() => queue.state.done === 1);
    queue.add(aJob([work], { chars: 60 }));
    queue.add(aJob([work], { chars: 40 }));
    queue.add(aJob([work], { chars: 1 }));
    await until(() => work.begun === 3);
    expect(queue.state).toMatchObject({ atWork: 2, dropped: 2 });
  });

  test('one kind of work that hangs holds up no other', async () => {
    const slow = held('slow');
    const fast = quick('fast');
    const queue = new AfterworkQueue([slow, fast], { atWork: 1, waiting: 1 });
    for (let i = 0; i < 10; i++) {
      queue.add(aJob([slow, fast]));
      await until(() => queue.state.done === i + 1);
    }
    expect(queue.state).toMatchObject({ atWork: 1, waiting: 1, done: 10, dropped: 8 });
  });
});

test('begins later than the call that adds it', () => {
  let begun = false;
  const work = quick('w', async () => {
    begun = true;
  });
  new AfterworkQueue([work]).add(aJob([work]));
  expect(begun).toBe(false);
});

test('what throws is counted and told by its code', async () => {
  warnings.length = 0;
  const work = quick('broken', async () => {
    throw Object.assign(new Error('the secret'), { code: 'EGRESS_FAILED' });
  });
  const queue = new AfterworkQueue([work]);
  queue.add(aJob([work]));
  await until(() => queue.state.failed === 1);
  expect(warnings).toEqual([[{ work: 'broken', code: 'EGRESS_FAILED' }, expect.any(String)]]);
});

test('of many dropped at once it is told once', () => {
  warnings.length = 0;
  const work = held('w');
  const queue = new AfterworkQueue([work], { atWork: 0, waiting: 0 });
  for (let i = 0; i < 100; i++) queue.add(aJob([work]));
  expect(queue.state.dropped).toBe(100);
  expect(warnings).toHaveLength(1);
});

describe('at the end', () => {
  test('what is there is finished, what comes later is not taken', async () => {
    let closed = 0;
    const work: Afterwork = { ...quick('w', () => new Promise((resolve) => void setTimeout(resolve, 20))) };
    work.close = async () => void closed++;
    const queue = new AfterworkQueue([work], { atWork: 1 });
    for (let i = 0; i < 3; i++) queue.add(aJob([work]));
    await Promise.all([queue.stop(10_000), queue.stop(0)]);
    expect(queue.state).toMatchObject({ done: 3, dropped: 0 });
    expect(closed).toBe(1);
    queue.add(aJob([work]));
    expect(queue.state).toMatchObject({ done: 3, dropped: 1 });
    expect(queue.wanting({} as never, ANYBODY, undefined)).toEqual([]);
  });

  test('when time is up what is at work is told so, and the rest dropped', async () => {
    const work = quick(
      'w',
      (_, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        }),
    );
    const queue = new AfterworkQueue([work], { atWork: 1 });
    for (let i = 0; i < 3; i++) queue.add(aJob([work]));
    await new Promise(setImmediate);
    await queue.stop(1);
    expect(queue.state).toEqual({ atWork: 0, waiting: 0, done: 0, failed: 0, dropped: 3 });
  });

  test('work that will not hear of it is not waited for', async () => {
    const work = held('deaf');
    const queue = new AfterworkQueue([work]);
    queue.add(aJob([work]));
    await until(() => work.begun === 1);
    await queue.stop(0);
    expect(queue.state.atWork).toBe(1);
  });
});
