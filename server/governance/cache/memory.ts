/** Answers in memory, the least recently used forgotten first. */
import type { Kept } from './response-cache.ts';

export interface Entry extends Kept {
  readonly tenant: string;
  /** Hash of the client's own user, if it told one. */
  readonly endUser: string | null;
  readonly expiresAt: Date;
}

/** What an entry takes beside its body: key, facts, and the places where they hang; bytes. */
const OVERHEAD_BYTES = 600;

interface Held {
  readonly entry: Entry;
  /** Until then nobody has to be asked whether it is still to be given, ms since 1970. */
  sureUntil: number;
}

export class AnswerMemory {
  readonly #held = new Map<string, Held>();
  readonly #maxBytes: () => number;
  #bytes = 0;

  constructor(maxBytes: () => number) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#held.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string, now: number): Held | null {
    const held = this.#held.get(key);
    if (held === undefined) return null;
    if (held.entry.expiresAt.getTime() <= now) {
      this.delete(key);
      return null;
    }
    // Last in order: used most recently.
    this.#held.delete(key);
    this.#held.set(key, held);
    return held;
  }

  set(key: string, entry: Entry, sureUntil: number): void {
    this.delete(key);
    const size = sizeOf(entry);
    const most = this.#maxBytes();
    if (size > most) return;
    this.#held.set(key, { entry, sureUntil });
    this.#bytes += size;
    this.#shrink(most);
  }

  delete(key: string): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    this.#held.delete(key);
    this.#bytes -= sizeOf(held.entry);
  }

  /** Lets go of what is over its time, of what fits no longer, and of what `also` says. */
  sweep(now: number, also: (entry: Entry) => boolean = () => false): void {
    for (const [key, { entry }] of this.#held) if (entry.expiresAt.getTime() <= now || also(entry)) this.delete(key);
    this.#shrink(this.#maxBytes());
  }

  #shrink(most: number): void {
    for (const key of this.#held.keys()) {
      if (this.#bytes <= most) return;
      this.delete(key);
    }
  }
}

const sizeOf = ({ body }: Entry): number => body.byteLength + OVERHEAD_BYTES;
