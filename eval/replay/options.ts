/** What can be asked of a replay, and what is taken where nothing is said. */
import { RoutingError } from '../../datasets/index.ts';
import type { WrittenEvent } from './events.ts';
import type { ReplayOrder } from './order.ts';
import type { Stickiness } from './play.ts';

export interface ReplayOptions {
  readonly seeds: number;
  readonly seed: number;
  readonly order?: ReplayOrder | undefined;
  /** Prompt id → milliseconds since 1970. */
  readonly times?: ReadonlyMap<string, number> | undefined;
  readonly benchmark?: string | undefined;
  readonly includeReasoning?: boolean | undefined;
  /** Keep prompts that the artifact has learned from. */
  readonly includeSeen?: boolean | undefined;
  /** At most this many decisions. */
  readonly limit?: number | undefined;
  /** `cold`, `artifact`, or a method of the zoo. */
  readonly start: string;
  readonly warm: number;
  readonly retrainEvery: number;
  readonly feedback: 'bandit' | 'full' | number;
  readonly exploration: number;
  readonly tolerance: number;
  readonly qualityPerUsd?: number | undefined;
  readonly window?: number | undefined;
  readonly events: readonly WrittenEvent[];
  readonly sessions?: number | undefined;
  readonly stickiness: Stickiness;
  readonly cachedShare: number;
  /** Cached price / input price by model id, where known. */
  readonly cachedShares: Readonly<Record<string, number>>;
  readonly cascade?: readonly string[] | undefined;
  readonly judgeError: number;
  readonly judgeUsd: number;
  readonly routerUsd: number;
  readonly auditShare: number;
  readonly auditModel?: string | undefined;
  readonly attemptMs: number;
  readonly replicates: number;
  readonly onProgress?: (step: string) => void;
}

export const REPLAY_DEFAULTS = {
  seeds: 5,
  seed: 0,
  start: 'cold',
  warm: 0,
  retrainEvery: 100,
  feedback: 'bandit',
  exploration: 0.1,
  tolerance: 1,
  events: [],
  stickiness: 'priced',
  cachedShare: 0.25,
  cachedShares: {},
  judgeError: 0.1,
  judgeUsd: 0,
  routerUsd: 0,
  auditShare: 0,
  attemptMs: 2000,
  replicates: 500,
} as const satisfies Partial<ReplayOptions>;

/** Fewest decisions that a life is worth looking at. */
export const MIN_DECISIONS = 10;

/** @throws `INVALID_CONFIG` naming the option that is out of range, as the command line has it */
export function checkOptions(o: ReplayOptions): void {
  const wrong = (what: string) => new RoutingError('INVALID_CONFIG', what);
  const share = (name: string, x: number) => {
    if (!(x >= 0 && x <= 1)) throw wrong(`${name} ${x}: a share in [0, 1] is wanted`);
  };
  const amount = (name: string, x: number | undefined) => {
    if (x !== undefined && !(x >= 0 && Number.isFinite(x)))
      throw wrong(`${name} ${x}: a number of 0 or more is wanted`);
  };
  const count = (name: string, x: number | undefined, least: number) => {
    if (x !== undefined && !(Number.isSafeInteger(x) && x >= least)) {
      throw wrong(`${name} ${x}: a whole number of ${least} or more is wanted`);
    }
  };
  count('--seeds', o.seeds, 1);
  count('--warm', o.warm, 0);
  count('--retrain-every', o.retrainEvery, 1);
  count('--window', o.window, 1);
  count('--limit', o.limit, MIN_DECISIONS);
  share('--exploration', o.exploration);
  share('--tolerance', o.tolerance);
  share('--judge-error', o.judgeError);
  share('--audit', o.auditShare);
  share('--cached-price', o.cachedShare);
  if (typeof o.feedback === 'number') share('--feedback', o.feedback);
  amount('--judge-cost', o.judgeUsd);
  amount('--router-cost', o.routerUsd);
  amount('--lambda', o.qualityPerUsd);
  amount('--attempt-ms', o.attemptMs);
  if (o.sessions !== undefined && !(o.sessions > 1 && Number.isFinite(o.sessions))) {
    throw wrong(`--sessions ${o.sessions}: conversations of more than one turn on average are wanted, e.g. 5`);
  }
}
