/** Writing the embedded database anew makes everybody wait: it comes now and then, and never too few times. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EndUsers } from '../../../server/privacy/end-user.ts';
import { eraseUser } from '../../../server/privacy/erase.ts';
import { Rewriting, settleRewrite } from '../../../server/privacy/rewriting.ts';
import { aDecision } from '../db/records.ts';
import { storeKinds } from '../db/stores.ts';

describe('rewriting', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** Runs that take 10 s each. */
  function started() {
    const state = { runs: 0, atOnce: 0, fails: false };
    const rewriting = new Rewriting(async () => {
      state.runs++;
      expect(++state.atOnce).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      state.atOnce--;
      if (state.fails) throw new Error('away');
    }, 60_000);
    return { state, rewriting };
  }

  test('whoever asks first waits for it, those who come after do not, and theirs goes with the next', async () => {
    const { state, rewriting } = started();
    let isDone = false;
    void rewriting.ask().then(() => {
      isDone = true;
    });
    await vi.advanceTimersByTimeAsync(5000);
    for (let i = 0; i < 100; i++) await rewriting.ask();
    expect([isDone, state.runs]).toEqual([false, 1]);
    await vi.advanceTimersByTimeAsync(5000);
    expect([isDone, state.runs]).toEqual([true, 1]);
    for (let i = 0; i < 100; i++) await rewriting.ask();
    await vi.advanceTimersByTimeAsync(59_000);
    expect(state.runs).toBe(1);
    await vi.advanceTimersByTimeAsync(2000);
    expect(state.runs).toBe(2);
    // Nobody asked since.
    await vi.advanceTimersByTimeAsync(600_000);
    expect([state.runs, vi.getTimerCount()]).toEqual([2, 0]);
    await Promise.all([rewriting.ask(), vi.advanceTimersByTimeAsync(10_000)]);
    expect(state.runs).toBe(3);
  });

  test('one that failed is told to who waited, and is tried again', async () => {
    const { state, rewriting } = started();
    state.fails = true;
    const failed = expect(rewriting.ask()).rejects.toThrow('away');
    await vi.advanceTimersByTimeAsync(10_000);
    await failed;
    await vi.advanceTimersByTimeAsync(70_000);
    expect(state.runs).toBe(2);
    state.fails = false;
    await vi.advanceTimersByTimeAsync(70_000);
    expect(state.runs).toBe(3);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(state.runs).toBe(3);
  });

  test('what was put off is done before the end, after what is under way', async () => {
    const { state, rewriting } = started();
    void rewriting.ask();
    await vi.advanceTimersByTimeAsync(5000);
    await rewriting.ask();
    const settled = rewriting.settle();
    await vi.advanceTimersByTimeAsync(15_000);
    await settled;
    expect([state.runs, state.atOnce, vi.getTimerCount()]).toEqual([2, 0, 0]);
    const idle = started();
    await idle.rewriting.settle();
    expect(idle.state.runs).toBe(0);
  });
});

test('the embedded database is written anew for the first who is erased, and for the others together', async () => {
  const { store, close } = await storeKinds.find(({ name }) => name === 'PGlite on disk')!.open();
  try {
    const users = new EndUsers('a secret');
    for (const user of ['ann', 'bob', 'cid']) {
      const id = `of-${user}`;
      store.record({
        decision: aDecision({ id, tenant: 'ours', endUser: users.hash('ours', user) }),
        text: { decisionId: id, createdAt: new Date(), redacted: false, prompt: user, answer: null },
      });
    }
    await store.flush();
    const anew = vi.spyOn(store.db, 'execute');
    for (const user of ['ann', 'bob', 'cid']) {
      expect(await eraseUser(store, users, 'ours', user)).toMatchObject({ decisions: 1, texts: 1 });
    }
    // Five statements a time.
    expect(anew).toHaveBeenCalledTimes(5);
    await settleRewrite(store);
    expect(anew).toHaveBeenCalledTimes(10);
    await settleRewrite(store);
    expect(anew).toHaveBeenCalledTimes(10);
  } finally {
    await close();
  }
});
