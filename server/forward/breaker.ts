/**
 * Leaves a deployment alone for a while when it keeps failing, so that not every request has to find out by waiting.
 * What all of a model's deployments heed is heeded by routing; a model that the client named is always called.
 */
import type { Blame } from './failure.ts';

/** Failures in a row that open it. */
const FAILURES = 3;
/** First rest, and the longest that doubling leads to, ms. */
const REST_MS = 10_000;
const LONGEST_REST_MS = 120_000;
/** Circuits kept. */
const MOST = 10_000;

/** A deployment, its key and its provider: what a failure can be a failure of. */
export interface Place {
  readonly deployment: string;
  readonly provider: { readonly name: string };
  readonly credential: { readonly id: string };
}

interface Circuit {
  failures: number;
  /** Rests until then; after it one more failure is enough for a longer rest. */
  until: number;
}

/** What replicas tell each other of a circuit. */
export interface SharedHealth {
  readonly deployment: string;
  readonly failures: number;
  /** How much longer it is left alone, ms. */
  readonly restMs: number;
}

export class Breaker {
  /** By deployment; by `provider#key` or `provider` for failures that hit all that is behind them. */
  readonly #circuits = new Map<string, Circuit>();
  /** Opened or closed since the last {@link changes}. */
  readonly #changed = new Set<string>();
  readonly #now: () => number;

  /** @param now  milliseconds of a clock that only goes forward */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** An answer came, to its end. */
  ok(place: Place): void {
    if (this.#circuits.size === 0) return;
    for (const key of keysOf(place)) {
      const circuit = this.#circuits.get(key);
      // The others were told that it rests: else its own word would come back and hold against it.
      if (circuit !== undefined && circuit.failures >= FAILURES) this.#changed.add(key);
      this.#circuits.delete(key);
    }
  }

  failed(place: Place, blame: Blame): void {
    // What one request, or a client that left, brought about says nothing of the next.
    if (blame === 'request' || blame === 'model' || blame === 'cancelled') return;
    const [deployment, credential, provider] = keysOf(place);
    const key = blame === 'provider' ? provider : blame === 'credential' ? credential : deployment;
    const circuit = this.#circuits.get(key) ?? { failures: 0, until: 0 };
    circuit.failures++;
    if (circuit.failures >= FAILURES) {
      const rest = Math.min(REST_MS * 2 ** (circuit.failures - FAILURES), LONGEST_REST_MS);
      circuit.until = this.#now() + rest;
      this.#changed.add(key);
    }
    // Last in order, so that what failed longest ago is forgotten first: clients may name any model there is or is not.
    this.#circuits.delete(key);
    this.#circuits.set(key, circuit);
    if (this.#circuits.size > MOST) this.#circuits.delete(this.#circuits.keys().next().value!);
  }

  rests(place: Place): boolean {
    if (this.#circuits.size === 0) return false;
    const now = this.#now();
    return keysOf(place).some((key) => (this.#circuits.get(key)?.until ?? 0) > now);
  }

  /** How much longer it is left alone, ms; 0: it is not. */
  restMs(place: Place): number {
    const now = this.#now();
    return Math.max(0, ...keysOf(place).map((key) => (this.#circuits.get(key)?.until ?? 0) - now));
  }

  /** What is left alone now: deployments, `provider#key`, providers. */
  get resting(): string[] {
    const now = this.#now();
    return [...this.#circuits].flatMap(([key, { until }]) => (until > now ? [key] : []));
  }

  get isQuiet(): boolean {
    return this.#circuits.size === 0;
  }

  /** Circuits opened or closed since the last call, for the other replicas. */
  changes(): SharedHealth[] {
    const rows = [...this.#changed].map((deployment) => {
      const { failures, until } = this.#circuits.get(deployment) ?? { failures: 0, until: 0 };
      return { deployment, failures, restMs: Math.max(0, until - this.#now()) };
    });
    this.#changed.clear();
    return rows;
  }

  /** What the others found: a longer rest than one's own is believed. */
  learn(rows: readonly SharedHealth[]): void {
    for (const { deployment, failures, restMs } of rows) {
      const until = this.#now() + restMs;
      const own = this.#circuits.get(deployment);
      if (until > this.#now() && until > (own?.until ?? 0)) this.#circuits.set(deployment, { failures, until });
    }
  }
}

const keysOf = ({ deployment, provider, credential }: Place): [string, string, string] => [
  deployment,
  `${provider.name}#${credential.id}`,
  provider.name,
];
