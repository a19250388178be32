/** Against guessing: whoever has shown too many wrong keys of late has to wait. Each replica counts by itself. */
import { isIPv6 } from 'node:net';

export interface AttemptBounds {
  /** Failures that one address may have in a window. */
  readonly most: number;
  readonly windowMs: number;
  /** Addresses remembered; beyond it the oldest is forgotten. */
  readonly addresses?: number;
}

export class FailedAttempts {
  readonly #bounds: Required<AttemptBounds>;
  readonly #now: () => number;
  /** In the order in which their windows began. */
  readonly #failures = new Map<string, { readonly since: number; count: number }>();

  constructor(bounds: AttemptBounds, now: () => number = Date.now) {
    this.#bounds = { addresses: 10_000, ...bounds };
    this.#now = now;
  }

  /** @returns ms until this address may try again; 0: now */
  waitMs(address: string): number {
    const found = this.#failures.get(networkOf(address));
    if (found === undefined || found.count < this.#bounds.most) return 0;
    return Math.max(0, found.since + this.#bounds.windowMs - this.#now());
  }

  note(address: string): void {
    const network = networkOf(address);
    const now = this.#now();
    const found = this.#failures.get(network);
    if (found !== undefined && now - found.since < this.#bounds.windowMs) {
      found.count++;
      return;
    }
    this.#failures.delete(network);
    if (this.#failures.size >= this.#bounds.addresses) {
      const [oldest] = this.#failures.keys();
      this.#failures.delete(oldest!);
    }
    this.#failures.set(network, { since: now, count: 1 });
  }
}

/** One subscriber has 2^64 IPv6 addresses: they count as one. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const groups = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - groups.length - last.length;
  return [...groups, ...Array<string>(Math.max(0, zeros)).fill('0'), ...last].slice(0, 4).join(':');
}
