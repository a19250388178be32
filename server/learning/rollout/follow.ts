/** Follows what is in force and on trial, by whatever process it was changed: by asking, and at once where PostgreSQL tells. */
import type { SqlStore } from '../../db/store.ts';
import { type Standing, standing } from '../promotions.ts';

export interface FollowOptions {
  readonly intervalMs?: number;
  /** What the caller has taken up. Default: what is found at the first look. */
  readonly known?: Standing | undefined;
  /** Told when looking fails, or taking up; it goes on looking. */
  readonly onProblem?: (error: unknown) => void;
}

export interface Following {
  /** Looks now. Resolves when what was found is taken up, or could not be. Never rejects. */
  look(): Promise<void>;
  stop(): void;
}

/**
 * Calls `onChange` whenever there is another row with an effect, and waits for it; where it fails, it is called again at
 * the next look. One look at a time.
 */
export function followStanding(
  store: Pick<SqlStore, 'db'>,
  onChange: (now: Standing) => void | Promise<void>,
  { intervalMs = 1000, onProblem = () => {}, ...from }: FollowOptions = {},
): Following {
  let known = from.known;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<void> = Promise.resolve();
  const once = async () => {
    if (stopped) return;
    try {
      const now = await standing(store);
      if (known !== undefined && now.ordinal !== known.ordinal && !stopped) await onChange(now);
      known = now;
    } catch (error) {
      if (!stopped) onProblem(error);
    }
  };
  // After the one under way: that may have asked before what made somebody look again.
  const look = () => {
    last = last.then(once);
    return last;
  };
  const tick = async () => {
    await look();
    if (stopped) return;
    timer = setTimeout(tick, intervalMs);
    timer.unref();
  };
  void tick();
  return {
    look,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
