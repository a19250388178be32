/**
 * What one process may still give out of one limit in one period: reserved before a call, settled after it. Amounts are
 * USD, requests or tokens.
 *
 *     free = granted − spent − reserved
 *
 * `granted` is all of the limit where this process is alone, and what it has leased so far where there are others.
 */
import type { Span } from './period.ts';
import type { Measure } from './terms.ts';

/** What all replicas together have of it, as last heard. */
export interface Heard {
  /** Settled by all, own amounts as of the time of asking included. */
  readonly spent: number;
  /** In the hands of the others, not settled. */
  readonly others: number;
}

export interface PotKey {
  /** Id of its limit. */
  readonly limit: string;
  readonly bucket: string;
  readonly measure: Measure;
  /** Whose it is, where the limit counts each by itself. */
  readonly subject: string | null;
  readonly span: Span;
}

/** Sums of doubles: as good as equal. */
const ROUNDING = 1e-9;
/** What is refused is not asked for again for so long. */
const DRY_MS = 250;

export class Pot {
  readonly limit: string;
  readonly bucket: string;
  readonly measure: Measure;
  readonly subject: string | null;
  readonly span: Span;
  /** Leased from what all replicas share. */
  readonly isShared: boolean;
  /** The whole limit. */
  cap: number;
  granted: number;
  spent: number;
  reserved = 0;
  /** Of `spent`, what was told to the others, or written down. */
  told: number;
  heard: Heard;
  /** Thresholds in percent that somebody was told of. */
  notified: readonly number[] = [];
  /** Let in before anything was leased; once a period. */
  isOnCredit = false;
  /** Its limit was taken away. */
  isClosed = false;
  /** Was an exchange answered? */
  isKnown: boolean;
  /** What was last told may not have arrived. */
  needsTelling = false;
  /** Granted by this process to itself, since nobody else answered. */
  isOwnGrant = false;
  /** Taken since the last look, and in the time between the two before. */
  taken = 0;
  pace = 0;
  lastAmount = 0;
  usedAt = 0;
  #dryUntil = 0;

  /** @param spent so far in this period, where that is known */
  constructor({ limit, bucket, measure, subject, span }: PotKey, cap: number, isShared: boolean, spent = 0) {
    this.limit = limit;
    this.bucket = bucket;
    this.measure = measure;
    this.subject = subject;
    this.span = span;
    this.cap = cap;
    this.isShared = isShared;
    this.spent = spent;
    this.told = spent;
    this.granted = isShared ? 0 : cap;
    this.heard = { spent, others: 0 };
    this.isKnown = !isShared;
  }

  get id(): string {
    return `${this.bucket}@${this.span.name}`;
  }

  get free(): number {
    return this.granted - this.spent - this.reserved;
  }

  /** Leased and not settled: what is reserved, and what could be. */
  get outstanding(): number {
    return this.granted - this.spent;
  }

  /** Of the limit, in nobody's hands as far as is known here. */
  get unleased(): number {
    return this.cap - this.spentByAll - this.heard.others - this.outstanding;
  }

  /** What is left of the limit, all replicas together, as far as is known here. */
  get left(): number {
    if (!this.isShared) return Math.max(0, this.free);
    return Math.max(0, this.cap - this.spentByAll - this.heard.others - this.reserved);
  }

  /** Spent by all replicas, as far as is known here. */
  get spentByAll(): number {
    return this.heard.spent + this.spent - this.told;
  }

  /** The same as a share of the limit; may be over 1. */
  get share(): number {
    return this.spentByAll / this.cap;
  }

  /** Changes the limit. What is spent stays spent. */
  resize(cap: number): void {
    if (cap === this.cap) return;
    const isLess = cap < this.cap;
    this.cap = cap;
    this.#dryUntil = 0;
    if (!this.isShared) this.granted = cap;
    else if (isLess) this.giveBack();
  }

  /** Sets an amount aside. @returns false: there is not so much */
  take(amount: number, nowMs: number): boolean {
    if (amount > this.free + ROUNDING * this.cap) return false;
    this.hold(amount, nowMs);
    return true;
  }

  /** The same whether there is so much or not. */
  hold(amount: number, nowMs: number): void {
    this.reserved += amount;
    this.taken += amount;
    this.lastAmount = amount;
    this.usedAt = nowMs;
  }

  /** What was set aside comes to this; all of it is settled. */
  settle(held: number, amount: number): void {
    this.reserved = Math.max(0, this.reserved - held);
    this.spent += amount;
  }

  /** More of it, or less, counts as spent, and that is written down already. */
  correct(more: number): void {
    this.spent += more;
    this.told += more;
    this.heard = { ...this.heard, spent: this.heard.spent + more };
  }

  /** Not long ago there was nothing to be had. */
  get isDry(): boolean {
    return performance.now() < this.#dryUntil;
  }

  refused(): void {
    this.#dryUntil = performance.now() + DRY_MS;
  }

  /** Gives back what is not reserved: from now on it is not here, whatever becomes of the telling. */
  giveBack(): void {
    this.granted = this.spent + this.reserved;
    this.isOwnGrant = false;
  }

  /** Looks at how fast it goes, once a look. */
  look(): void {
    this.pace = this.taken;
    this.taken = 0;
  }
}
