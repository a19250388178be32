/**
 * Leaves a model alone for a while when it keeps failing, so that not every request has to find
 * out by waiting. Only routed requests heed it: a model that the client named is always called.
 */
import { providerOf } from '../../datasets/catalog/candidate.ts';
import type { Blame } from './failure.ts';

/** Failures in a row that open it. */
const FAILURES = 3;
/** First rest, and the longest that doubling leads to, ms. */
const REST_MS = 10_000;
const LONGEST_REST_MS = 120_000;

interface Circuit {
  failures: number;
  /** Rests until then; after it one more failure is enough for a longer rest. */
  until: number;
}

export class Breaker {
  /** By model id, and by provider name for failures that hit all its models. */
  readonly #circuits = new Map<string, Circuit>();
  readonly #now: () => number;

  /** @param now  milliseconds of a clock that only goes forward */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** An answer came, to its end. */
  ok(modelId: string): void {
    if (this.#circuits.size === 0) return;
    this.#circuits.delete(modelId);
    this.#circuits.delete(providerOf(modelId));
  }

  failed(modelId: string, blame: Blame): void {
    // What one request, or a client that left, brought about says nothing of the next.
    if (blame === 'request' || blame === 'model' || blame === 'cancelled') return;
    const key = blame === 'provider' ? providerOf(modelId) : modelId;
    const circuit = this.#circuits.get(key) ?? { failures: 0, until: 0 };
    circuit.failures++;
    if (circuit.failures >= FAILURES) {
      const rest = Math.min(REST_MS * 2 ** (circuit.failures - FAILURES), LONGEST_REST_MS);
      circuit.until = this.#now() + rest;
    }
    this.#circuits.set(key, circuit);
  }

  /** Those of the models that rest now. */
  resting(modelIds: readonly string[]): string[] {
    if (this.#circuits.size === 0) return [];
    const now = this.#now();
    const rests = (key: string) => (this.#circuits.get(key)?.until ?? 0) > now;
    return modelIds.filter((id) => rests(id) || rests(providerOf(id)));
  }
}
