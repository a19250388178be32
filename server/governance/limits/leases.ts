/** Keeps pots filled from what all replicas share: in the background, or while a request waits where there is not enough. */
import type { Ask, Bank } from './bank.ts';
import type { Pot } from './pot.ts';

/**
 * `taken`: it is set aside. `spent`: the limit does not have so much left. `elsewhere`: it has, in the hands of other
 * replicas, who give back what they have no use for. `away`: nobody answers.
 */
export type Answer = 'taken' | 'spent' | 'elsewhere' | 'away';

interface Waiter {
  readonly amount: number;
  readonly done: (answer: Answer) => void;
}

export interface LeasesOptions {
  readonly bank: Bank;
  readonly now: () => number;
  /** Told of the database's clock: Unix time, ms, and how long the answer took. */
  readonly onClock: (nowMs: number, tookMs: number) => void;
  /** How many replicas there are, as last heard. */
  readonly replicas: () => number;
  /** Where nobody answers it is tried again after so long, ms. */
  readonly restMs?: number;
}

/** As much as a pot would like to have beyond need: some requests, a part of the limit, and what went of late. */
const REQUESTS_AHEAD = 4;
const PART = 1 / 200;
/** A request waits no longer. */
const WAIT_MS = 2_000;
/** A database that is away is left alone for so long. */
const REST_MS = 1_000;
/** Least time between two looks for more in the background, ms. */
const PAUSE_MS = 20;
/** A pot is kept up with the others for so long after its last request. */
const WARM_MS = 10_000;

export class Leases {
  readonly #options: LeasesOptions;
  readonly #waiting = new Map<Pot, Waiter[]>();
  readonly #wanting = new Set<Pot>();
  #round: Promise<void> | null = null;
  #pause: NodeJS.Timeout | undefined;
  #awayUntil = Number.NEGATIVE_INFINITY;
  #isAway = false;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** The database did not answer the last time. */
  get isAway(): boolean {
    return this.#isAway;
  }

  /** Waits for one exchange, or for the one under way and the next. */
  ask(pot: Pot, amount: number): Promise<Answer> {
    if (performance.now() < this.#awayUntil) return Promise.resolve(this.#alone(pot, amount));
    return new Promise((resolve) => {
      const timer = setTimeout(() => done('away'), WAIT_MS);
      let isDone = false;
      const done = (answer: Answer) => {
        // What was set aside for one that gave up waiting goes back.
        if (isDone) {
          if (answer === 'taken') pot.settle(amount, 0);
          return;
        }
        isDone = true;
        clearTimeout(timer);
        resolve(answer);
      };
      const waiters = this.#waiting.get(pot);
      if (waiters === undefined) this.#waiting.set(pot, [{ amount, done }]);
      else waiters.push({ amount, done });
      this.#begin();
    });
  }

  /** Asks for more in the background, where there is little. Costs nothing where there is enough. */
  keepUp(pot: Pot): void {
    if (!pot.isShared || this.#wanting.has(pot) || pot.free >= bufferOf(pot) / 2) return;
    if (pot.isDry) return;
    this.#wanting.add(pot);
    if (this.#round !== null || this.#pause !== undefined) return;
    // A pot that never has enough must not keep the database busy.
    this.#pause = setTimeout(
      () => {
        this.#pause = undefined;
        this.#begin();
      },
      pot.isKnown ? PAUSE_MS : 0,
    );
    this.#pause.unref();
  }

  /** Tells what was spent, and gives back what nobody has a use for. Never rejects. */
  async tell(pots: Iterable<Pot>): Promise<void> {
    const nowMs = this.#options.now();
    for (const pot of pots) {
      const isIdle = pot.taken === 0;
      pot.look();
      const isOver = pot.isClosed || nowMs >= pot.span.endMs;
      // Near the end of a limit nobody sits on more than a part of what is left.
      const isMuch = pot.unleased < 2 * pot.free;
      if (pot.isOwnGrant || (pot.free > 0 && (isIdle || isMuch || isOver))) pot.giveBack();
      const isNews = pot.spent !== pot.told || pot.outstanding > 0 || pot.needsTelling;
      if (isNews || nowMs - pot.usedAt < WARM_MS) this.#wanting.add(pot);
    }
    await this.#round;
    if (this.#wanting.size + this.#waiting.size > 0) this.#begin();
    await this.#round;
  }

  /** Tells of these at once, as far as anybody answers. Never rejects. */
  async tellNow(pots: readonly Pot[]): Promise<void> {
    for (const pot of pots) this.#wanting.add(pot);
    // An exchange under way may have begun before.
    for (let tries = 0; tries < 2 && pots.some((pot) => this.#wanting.has(pot)); tries++) {
      await this.#round;
      this.#begin();
      await this.#round;
    }
  }

  /** Gives all back that is not reserved. Never rejects. */
  async leave(pots: Iterable<Pot>): Promise<void> {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    await this.#round;
    for (const pot of pots) {
      pot.isClosed = true;
      pot.giveBack();
      if (pot.isKnown || pot.spent > 0 || pot.needsTelling) this.#wanting.add(pot);
    }
    if (this.#wanting.size > 0) this.#begin();
    await this.#round;
  }

  #begin(): void {
    if (this.#round !== null) return;
    this.#round = this.#exchange().finally(() => {
      this.#round = null;
      if (this.#waiting.size > 0) this.#begin();
    });
  }

  async #exchange(): Promise<void> {
    // Whoever comes in the same turn of the event loop comes along.
    await Promise.resolve();
    const { bank, now, onClock } = this.#options;
    const waiting = new Map(this.#waiting);
    this.#waiting.clear();
    const pots = [...new Set([...waiting.keys(), ...this.#wanting])];
    this.#wanting.clear();
    if (pots.length === 0) return;
    const asks = pots.map((pot) => askOf(pot, waiting.get(pot) ?? [], now()));
    const started = performance.now();
    try {
      const { grants, nowMs } = await bank.exchange(asks);
      onClock(nowMs, performance.now() - started);
      this.#isAway = false;
      pots.forEach((pot, i) => {
        const { spent, others, held, notified } = grants[i]!;
        pot.granted = asks[i]!.spent + held;
        pot.told = asks[i]!.spent;
        pot.heard = { spent, others };
        pot.notified = notified;
        pot.isKnown = true;
        pot.needsTelling = false;
        serve(pot, waiting.get(pot) ?? [], now());
      });
    } catch {
      this.#isAway = true;
      this.#awayUntil = performance.now() + (this.#options.restMs ?? REST_MS);
      for (const [pot, waiters] of waiting) {
        for (const { amount, done } of waiters) done(this.#alone(pot, amount));
      }
      // What was given back may or may not have arrived: it is told again, and not spent meanwhile.
      for (const pot of pots) pot.needsTelling = true;
    }
  }

  /**
   * Nobody answers. Money is spent only where it was leased. Requests and tokens a minute go on, each replica having an
   * equal part: a database that is away must not take the gateway with it.
   */
  #alone(pot: Pot, amount: number): Answer {
    if (pot.measure !== 'usd') {
      pot.granted = Math.max(pot.granted, pot.cap / this.#options.replicas());
      pot.isOwnGrant = true;
    }
    return pot.take(amount, this.#options.now()) ? 'taken' : 'away';
  }
}

/** What a pot would like to have beyond need. */
const bufferOf = (pot: Pot): number => Math.max(REQUESTS_AHEAD * pot.lastAmount, pot.cap * PART, 2 * pot.pace);

function askOf(pot: Pot, waiters: readonly Waiter[], nowMs: number): Ask {
  const floor = Math.max(pot.reserved, pot.outstanding);
  const waited = waiters.reduce((sum, { amount }) => sum + amount, 0);
  const isOver = pot.isClosed || nowMs >= pot.span.endMs;
  const isIdle = waiters.length === 0 && pot.taken === 0 && pot.pace === 0;
  return {
    bucket: pot.bucket,
    period: pot.span.name,
    cap: pot.cap,
    spent: pot.spent,
    floor,
    need: Math.max(floor, pot.reserved + waited),
    buffer: isOver || isIdle ? 0 : Math.max(0, bufferOf(pot) - Math.max(0, floor - pot.reserved - waited)),
  };
}

/** First come, first served. */
function serve(pot: Pot, waiters: readonly Waiter[], nowMs: number): void {
  for (const { amount, done } of waiters) {
    if (pot.take(amount, nowMs)) {
      done('taken');
      continue;
    }
    pot.refused();
    // Own reservations count as the limit's: they may come back, too.
    const { spent } = pot.heard;
    done(spent + amount > pot.cap ? 'spent' : 'elsewhere');
  }
}
