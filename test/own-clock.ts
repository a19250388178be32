/**
 * A clock for tests without a network: time stands still while anything is at work and jumps to the next timer when
 * nothing is. What waits for 250 ms waits for exactly 250 ms, however busy the machine is, and takes none.
 */
import { afterEach, beforeEach, vi } from 'vitest';

const { setImmediate } = globalThis;
const turnOfTheLoop = () => new Promise<void>((resolve) => setImmediate(resolve));
/** Promises that wait for promises are through by then. */
const TURNS = 5;

/** For every test of the file, or of the `describe` it stands in. */
export function onOwnClock(): void {
  let stop: () => Promise<void>;
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    });
    let going = true;
    const running = (async () => {
      while (going) {
        for (let turn = 0; turn < TURNS; turn++) await turnOfTheLoop();
        if (going) await vi.advanceTimersToNextTimerAsync();
      }
    })();
    stop = () => {
      going = false;
      return running;
    };
  });
  afterEach(async () => {
    await stop();
    vi.useRealTimers();
  });
}
