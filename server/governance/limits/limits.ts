/** Budgets and rates: a request is let in, what it may cost is set aside before it is called, and what it did cost is settled. */
import { randomUUID } from 'node:crypto';
import type { GatewayConfig } from '../../config/index.ts';
import type { SqlStore, Store } from '../../db/store.ts';
import type { Egress } from '../../egress/index.ts';
import { type Account, FREE, type Hold, OpenAccount } from './account.ts';
import { type Bank, PostgresBank, tidyMinutes } from './bank.ts';
import { askHost, type BatchHosts } from './batches/ask.ts';
import { Batches } from './batches/batches.ts';
import { holdBatch } from './batches/hold.ts';
import { Book, type Read } from './book.ts';
import { carryOver, type KeyChains, NO_CHAINS } from './carry-over.ts';
import { Clock } from './clock.ts';
import type { Admission, Entrant } from './entrant.ts';
import { type Expectation, Forecasts } from './forecast.ts';
import { rateHeaders } from './headers.ts';
import { type Answer, Leases } from './leases.ts';
import { isId, LimitIndex, type Meter, Pots } from './matching.ts';
import { type Names, namesOf, unknownNames } from './names.ts';
import { spanOf } from './period.ts';
import { Pot } from './pot.ts';
import { type LimitReached, latest, refusal, refuseUnmetered, refuseUnpriced, type Unmetered } from './refusal.ts';
import { fingerprintOf, readLimits } from './rows.ts';
import { softened, softest, usedUp, withoutModels } from './soften.ts';
import { type Limit, limitsOf, type Measure, partsOfSubject, subjectOf } from './terms.ts';
import { Thresholds } from './thresholds.ts';

export { type Account, FREE } from './account.ts';
export type { Admission, Entrant } from './entrant.ts';
export type { Expectation } from './forecast.ts';

/** What limits need of the gateway. */
export interface LimitsHost {
  readonly store: Store;
  readonly config: Pick<GatewayConfig, 'limits' | 'keys' | 'teams'>;
  /** Without `providers` no batch is ever asked for. */
  readonly setup: { readonly egress: Pick<Egress, 'tell'> } & Partial<Pick<BatchHosts, 'providers'>>;
  /** Absent: there are no keys but those of the configuration. */
  readonly governance?: ({ readonly keys: KeyChains } & Partial<Pick<BatchHosts, 'policies'>>) | undefined;
}

export interface LimitsLog {
  warn(details: object, message: string): void;
}

export interface LimitsOptions {
  /** Between two exchanges with the other replicas, ms. */
  readonly everyMs?: number;
  /** Replaces the clock, for tests. */
  readonly now?: () => number;
  readonly leaseSeconds?: number;
}

const EVERY_MS = 1_000;
/** Looks between two tidyings, and between two looks for leases of the dead. */
const TIDY_EVERY = 60;
const SETTLE_EVERY = 5;
/** Looks between two for batches that are to be asked for. */
const BATCHES_EVERY = 30;
/** So long after a replica of an earlier version was last seen, looks: what it had leased falls back, or counts as spent. */
const CARRY_LOOKS = 60;
/** Pots of a period that is over are kept for those whose clock goes back. */
const KEPT_MS: Readonly<Record<Measure, number>> = { requests: 120_000, tokens: 120_000, usd: 86_400_000 };
/** What is set aside for a request of which nobody knows the cost, so that a spent budget refuses it. */
const LEAST_USD = 1e-6;

/** Sums of doubles: as good as equal. */
const LEAST_SHARE = 1e-9;

const NOTHING: readonly Meter[] = [];

/** What would become of a request. */
export interface Foreseen {
  /** USD. */
  readonly setAsideUsd: number;
  /** Null: it would be let in. */
  readonly refusal: LimitReached | null;
}

export class Limits {
  /** Where trouble is told; set by whoever has a log. */
  log: LimitsLog = { warn: (details, message) => console.error(`limits: ${message}`, details) };
  readonly replica = randomUUID();
  /** Null where there is no database to keep them in. */
  readonly batches: Batches | null;
  readonly #host: LimitsHost;
  readonly #everyMs: number;
  readonly #clock = new Clock();
  readonly #now: () => number;
  readonly #store: SqlStore | null;
  readonly #bank: PostgresBank | null;
  readonly #leases: Leases | null;
  readonly #book: Book | null;
  readonly #pots: Pots;
  readonly #forecasts = new Forecasts();
  readonly #thresholds: Thresholds;
  /** What was spent before this process began, where it is alone. */
  #read = new Map<string, Read>();
  #rows: readonly Limit[] = [];
  #fingerprint = '';
  #config: GatewayConfig['limits'] | null = null;
  #index: LimitIndex;
  #replicas = 1;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | null = null;
  #looks = 0;
  /** Up to which look spending by an earlier version is looked for. */
  #carryUntil = 0;
  #isOlderBeside = false;
  #isStarted = false;
  /** Why looking failed the last time. */
  #trouble: string | undefined;
  readonly #unpriced = new Set<string>();

  constructor(host: LimitsHost, { everyMs = EVERY_MS, now, leaseSeconds }: LimitsOptions = {}) {
    this.#host = host;
    this.#everyMs = everyMs;
    this.#now = now ?? this.#clock.now;
    const store = 'db' in host.store ? (host.store as SqlStore) : null;
    this.#store = store;
    this.#bank = store?.kind === 'postgres' ? new PostgresBank(store.db, this.replica, leaseSeconds) : null;
    this.#book = store?.kind === 'embedded' ? new Book(store.db) : null;
    const options = { now: this.#now, onClock: this.#clock.heard, replicas: () => this.#replicas };
    this.#leases = this.#bank && new Leases({ ...options, bank: this.#bank satisfies Bank });
    this.#pots = new Pots((meter, span) => {
      const { limit, bucket, measure, subject } = meter;
      // The limit may have changed since the meter was made: a request that was let in before keeps its meters.
      const inForce = this.#index.limits.get(limit.id);
      const cap = (inForce && capIn(inForce, measure)) ?? meter.cap;
      const key = { limit: limit.id, bucket, measure, subject, span };
      const before = this.#read.get(`${bucket}@${span.name}`);
      const pot = new Pot(key, cap, this.#leases !== null, before?.spent);
      pot.notified = before?.notified ?? [];
      return pot;
    });
    this.#index = new LimitIndex([], this.#pots);
    this.#thresholds = new Thresholds({
      store,
      say: (details, message) => this.log.warn(details, message),
      subjectOf: (limit, pot) => this.subjectOf(limit, pot.subject),
    });
    this.batches = store && new Batches(this.#batchesHost(store));
  }

  /**
   * Counts it against rates, and softens what `auto` may cost. Never waits.
   * @throws `RATE_LIMITED` with `retry-after`
   */
  admit({ caller, tags, isAuto, surface, takesNoTokens = false }: Entrant): Admission {
    const index = this.#current();
    if (index.isEmpty) return { caller, headers: {}, isSoftened: false, pending: NOTHING };
    const matched = index.match(caller, tags, caller.tags);
    if (matched.isEmpty) return { caller, headers: {}, isSoftened: false, pending: NOTHING };
    const now = this.#now();
    const { requests, tokens, budgets } = matched;
    const isAnthropic = surface === 'messages';
    const headersNow = () => rateHeaders(requests, tokens, isAnthropic, now);
    const pending = this.#countRequest(requests, now, headersNow);
    for (const meter of takesNoTokens ? NOTHING : tokens) {
      const pot = meter.pot(now);
      if (pot.isKnown && pot.left < 1 && (!pot.isShared || pot.isDry)) {
        this.#uncount(requests, pending, now);
        throw refusal(meter, 'spent', 1, now, headersNow());
      }
      this.#leases?.keepUp(pot);
    }
    const headers = headersNow();
    const soft = isAuto && caller.rules.softens ? softest(budgets, now) : null;
    for (const meter of budgets) this.#leases?.keepUp(meter.pot(now));
    let bound = caller;
    if (soft !== null) {
      headers['x-pointsman-soft-limit'] = soft.limit.name.replace(/[^\x20-\x7e]/g, '?');
      bound = softened(caller, soft.limit.softDial);
    }
    if (isAuto && matched.ofModels.length > 0 && usedUp(matched.ofModels, now) !== null) {
      bound = withoutModels(bound, (model, provider) => usedUp(matched.at(model, provider), now), now);
    }
    return { caller: bound, headers, isSoftened: soft !== null, pending };
  }

  /**
   * Sets aside what it may cost. Waits for the database only where too little of a limit is at hand.
   * @throws `BUDGET_EXCEEDED`, `RATE_LIMITED` with `retry-after`; `POLICY_REFUSED` for a model without a price
   */
  async reserve(entrant: Entrant, expected: Expectation): Promise<Account> {
    const index = this.#current();
    if (index.isEmpty) return FREE;
    const { caller, tags, chars, surface, takesNoTokens = false, pending = NOTHING } = entrant;
    const matched = index.match(caller, tags, caller.tags);
    if (matched.isEmpty) return FREE;
    const now = this.#now();
    const { model, provider, price } = expected;
    const forecast = this.#forecasts.of(expected, chars, surface !== 'embeddings');
    const ofModel = matched.at(model, provider);
    const isBudgeted = matched.budgets.length > 0 || ofModel.some(({ measure }) => measure === 'usd');
    if (isBudgeted && price === null && this.#host.config.limits.refuseUnpriced) refuseUnpriced(model);
    const onUnpriced = (unpriced: string) => isBudgeted && this.#warnUnpriced(unpriced);
    const holds: Hold[] = [];
    const lacking: Hold[] = [];
    const take = (meter: Meter) => {
      const pot = meter.pot(now);
      // More tokens than a whole minute has: it may go where nobody else has taken any.
      const amount = amountFor(meter.measure, forecast, meter.cap);
      const isFree =
        meter.measure === 'usd'
          ? price !== null && forecast.costUsd === 0
          : meter.measure === 'tokens' && takesNoTokens;
      const hold = { meter, pot, held: isFree ? 0 : amount };
      if (isFree || this.#takeNow(pot, amount, now)) holds.push(hold);
      else lacking.push(hold);
    };
    for (const meter of matched.budgets) take(meter);
    for (const meter of matched.tokens) take(meter);
    for (const meter of ofModel) take(meter);
    for (const meter of pending) take(meter);
    if (lacking.length > 0) await this.#ask(holds, lacking, entrant, now);
    for (const hold of holds) {
      // A request is one, whatever becomes of it.
      if (hold.meter.measure === 'requests') {
        hold.pot.settle(hold.held, hold.held);
        hold.held = 0;
      }
    }
    const tokensOf = [...matched.tokens, ...ofModel.filter(({ measure }) => measure === 'tokens')];
    const requestsOf = [...matched.requests, ...ofModel.filter(({ measure }) => measure === 'requests')];
    const headers = rateHeaders(requestsOf, tokensOf, surface === 'messages', now);
    const forecasts = this.#forecasts;
    return new OpenAccount({
      ...{ expected, forecast, holds, matched, forecasts, headers, onUnpriced },
      now: this.#now,
    });
  }

  /**
   * What {@link reserve} would say now, as far as is known here: nothing is set aside, and nobody is asked.
   * @returns null: no limit holds
   */
  foresee({ caller, tags, chars, surface }: Entrant, expected: Expectation): Foreseen | null {
    const index = this.#current();
    if (index.isEmpty) return null;
    const matched = index.match(caller, tags, caller.tags);
    if (matched.isEmpty) return null;
    const now = this.#now();
    const { model, provider, price } = expected;
    const forecast = this.#forecasts.of(expected, chars, surface !== 'embeddings');
    const meters = [...matched.budgets, ...matched.tokens, ...matched.at(model, provider)];
    const refusals = refusalsBy(meters, forecast, price !== null && forecast.costUsd === 0, now);
    return { setAsideUsd: forecast.costUsd, refusal: refusals[0] ?? null };
  }

  /** Whether any limit is for some models or providers alone. */
  holdsForModels({ caller, tags }: Pick<Entrant, 'caller' | 'tags'>): boolean {
    const index = this.#current();
    return !index.isEmpty && index.match(caller, tags, caller.tags).ofModels.length > 0;
  }

  /**
   * What the limits for this model or provider alone would say now, as far as is known here.
   * @returns of several the one that has something again last; null: it would be let in
   */
  foreseeAt({ caller, tags, chars, surface }: Entrant, expected: Expectation): LimitReached | null {
    const index = this.#current();
    if (index.isEmpty) return null;
    const { model, provider, price } = expected;
    const meters = index.match(caller, tags, caller.tags).at(model, provider);
    if (meters.length === 0) return null;
    const forecast = this.#forecasts.of(expected, chars, surface !== 'embeddings');
    return latest(refusalsBy(meters, forecast, price !== null && forecast.costUsd === 0, this.#now()));
  }

  /**
   * For what is paid for later, when nobody can stop it any more.
   *
   * @throws `FORBIDDEN` where any budget holds
   */
  mustBeMetered({ caller, tags }: Pick<Entrant, 'caller' | 'tags'>, what: Unmetered): void {
    const index = this.#current();
    if (this.#host.config.limits.allowUnmetered || index.isEmpty) return;
    const budgets = index.match(caller, tags, caller.tags).everyBudget;
    if (budgets.length > 0) refuseUnmetered(what, budgets);
  }

  /** Whether any limit holds, so that what is uploaded is worth counting. */
  holdsFor({ caller, tags }: Pick<Entrant, 'caller' | 'tags'>): boolean {
    const index = this.#current();
    return !index.isEmpty && !index.match(caller, tags, caller.tags).isEmpty;
  }

  /** Where the rotation chains of keys begin, and what they are called. */
  get keys(): KeyChains {
    return this.#host.governance?.keys ?? NO_CHAINS;
  }

  /** Whoever there is that a limit could be for. */
  get names(): Names {
    return namesOf(this.#host.config, this.keys);
  }

  /** Whose a pot is, as people call it: of each key its name now. */
  subjectOf(limit: Limit, subject: string | null): string | null {
    if (limit.key !== '*' || subject === null) return subject;
    const [team = '', key = '', ...rest] = partsOfSubject(subject);
    const named = isId(key) ? this.keys.nameOf(key) : null;
    return named === null ? subject : subjectOf([team, named.name, ...rest]);
  }

  /** Reads what was spent before, and goes on writing or exchanging it. @throws `DATABASE_UNAVAILABLE` */
  async start(): Promise<void> {
    await this.reload();
    if (this.#store !== null) await this.keys.look();
    for (const { name, ...whose } of this.configured) {
      for (const { field, message } of unknownNames(whose, this.names)) {
        this.log.warn({ limit: name, field }, `limit ${name} of the configuration bounds nobody yet: ${message}`);
      }
    }
    if (this.#bank !== null) await this.#showLife(this.#bank);
    await this.#carryOver();
    if (this.#book !== null) await this.#readBook(this.#book);
    this.#isStarted = true;
    const again = () => {
      this.#timer = setTimeout(() => void this.look().finally(() => this.#timer && again()), this.#everyMs);
      this.#timer.unref();
    };
    if (this.#store !== null) again();
  }

  /** Tells and writes what is left to tell, gives back what was leased. Never rejects. */
  async stop(): Promise<void> {
    // What never began has read nothing: to write would be to say that all before now is counted.
    if (!this.#isStarted) return this.#thresholds.stop();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#looking;
    await this.batches?.stop();
    await this.#leases?.leave(this.#pots);
    await this.#bank?.leave().catch(() => undefined);
    await this.#book?.write(this.#pots).catch(() => undefined);
    // Should an earlier version take over.
    await this.#carryOver().catch(() => undefined);
    await this.#thresholds.stop();
  }

  /** Takes up what limits there are now. @throws `DATABASE_UNAVAILABLE` */
  async reload(): Promise<void> {
    if (this.#store === null) return;
    // First: what changes while they are read is read again the next time.
    const fingerprint = await fingerprintOf(this.#store.db);
    this.#rows = await readLimits(this.#store.db);
    this.#fingerprint = fingerprint;
    this.#config = null;
    this.#current();
  }

  /** Exchanges with the other replicas, or writes down, now; also done by itself. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .then(
        () => {
          this.#trouble = undefined;
        },
        ({ code, message }) => {
          // Once, not every second for as long as the database is away.
          if (message !== this.#trouble) this.log.warn({ code, reason: message }, 'limits could not be looked at');
          this.#trouble = message;
        },
      )
      .finally(() => {
        this.#looking = null;
      });
    return this.#looking;
  }

  /** All limits in force, those of the configuration first. */
  get all(): readonly Limit[] {
    return [...this.#current().limits.values()];
  }

  /** Those of the configuration alone. */
  get configured(): readonly Limit[] {
    return limitsOf(this.#host.config.limits);
  }

  /** What this process knows of the use of limits now. */
  get used(): readonly Pot[] {
    return [...this.#pots];
  }

  /** Unix time that periods go by, ms. */
  get nowMs(): number {
    return this.#now();
  }

  /** The index of the limits in force: made anew when the configuration or the rows have changed. */
  #current(): LimitIndex {
    const { limits } = this.#host.config;
    if (limits === this.#config) return this.#index;
    this.#config = limits;
    const firstOf = (keyId: string) => this.keys.firstOf(keyId);
    this.#index = new LimitIndex([...limitsOf(limits), ...this.#rows], this.#pots, firstOf);
    for (const pot of this.#pots) {
      const limit = this.#index.limits.get(pot.limit);
      const cap = limit === undefined ? undefined : capIn(limit, pot.measure);
      pot.isClosed = cap === undefined;
      if (cap !== undefined) pot.resize(cap);
    }
    return this.#index;
  }

  /** Counts one request against each. @returns those that have to be asked for first */
  #countRequest(meters: readonly Meter[], now: number, headers: () => Record<string, string>): readonly Meter[] {
    let pending: Meter[] | null = null;
    for (const meter of meters) {
      const pot = meter.pot(now);
      if (this.#takeNow(pot, 1, now)) {
        pot.settle(1, 1);
        continue;
      }
      if (!pot.isShared || pot.isDry) {
        this.#uncount(meters.slice(0, meters.indexOf(meter)), pending ?? NOTHING, now);
        throw refusal(meter, 'spent', 1, now, headers());
      }
      pending ??= [];
      pending.push(meter);
    }
    return pending ?? NOTHING;
  }

  /** One that was refused by a later limit is not counted by the earlier ones. */
  #uncount(meters: readonly Meter[], pending: readonly Meter[], now: number): void {
    for (const meter of meters) if (!pending.includes(meter)) meter.pot(now).settle(0, -1);
  }

  /**
   * Without waiting. Of a rate that nothing is known of yet one request of a replica is let in unasked, and it is asked
   * meanwhile: a key that calls now and then never waits.
   */
  #takeNow(pot: Pot, amount: number, now: number): boolean {
    let taken = pot.take(amount, now);
    if (!taken && pot.measure !== 'usd' && pot.isShared && !pot.isKnown && !pot.isOnCredit) {
      pot.isOnCredit = true;
      pot.hold(amount, now);
      taken = true;
    }
    this.#leases?.keepUp(pot);
    return taken;
  }

  /** All or nothing. @throws `BUDGET_EXCEEDED`, `RATE_LIMITED` */
  async #ask(
    holds: Hold[],
    lacking: readonly Hold[],
    { surface }: Entrant,
    now: number,
    what: 'request' | 'batch' = 'request',
  ): Promise<void> {
    const answers = await Promise.all(
      lacking.map(async ({ meter, pot, held }): Promise<Answer> => {
        const isSpent = pot.spentByAll + held > meter.cap;
        if (this.#leases === null || pot.isDry) return isSpent ? 'spent' : 'elsewhere';
        return this.#leases.ask(pot, held);
      }),
    );
    let refused: { hold: Hold; why: Exclude<Answer, 'taken'> } | null = null;
    answers.forEach((answer, i) => {
      if (answer === 'taken') holds.push(lacking[i]!);
      else refused ??= { hold: lacking[i]!, why: answer };
    });
    if (refused === null) return;
    for (const { pot, held } of holds) pot.settle(held, 0);
    const { hold, why } = refused as { hold: Hold; why: Exclude<Answer, 'taken'> };
    const { meter, held } = hold;
    const headers =
      meter.measure === 'usd'
        ? {}
        : rateHeaders(
            meter.measure === 'requests' ? [meter] : NOTHING,
            meter.measure === 'tokens' ? [meter] : NOTHING,
            surface === 'messages',
            now,
          );
    throw refusal(meter, why, held, this.#now(), headers, what);
  }

  #batchesHost(store: SqlStore): ConstructorParameters<typeof Batches>[0] {
    const leases = this.#leases;
    const book = this.#book;
    return {
      ...{ store, forecasts: this.#forecasts, now: () => this.#now() },
      terms: () => this.#host.config.limits,
      budgetsOf: ({ caller, tags }) => this.#current().match(caller, tags, caller.tags).everyBudget,
      hold: (entrant, provider, expected) => {
        const { caller, tags, pending = NOTHING } = entrant;
        const matched = this.#current().match(caller, tags, caller.tags);
        const now = this.#now();
        const takeNow = (pot: Pot, amount: number) => this.#takeNow(pot, amount, now);
        const ask = (holds: Hold[], lacking: readonly Hold[]) => this.#ask(holds, lacking, entrant, now, 'batch');
        return holdBatch({ matched, pending, now, takeNow, ask }, provider, expected);
      },
      letGo: (holds, isSpent) => {
        for (const { pot, usd } of holds) pot.settle(usd, isSpent ? usd : 0);
      },
      spend: async (holds, row) => {
        const spend = async () => {
          await row({ counts: book !== null });
          for (const { pot, usd } of holds) {
            pot.settle(usd, book === null ? usd : 0);
            if (book !== null) pot.correct(usd);
          }
        };
        await (book === null ? spend() : book.inTurn(spend));
        // Told before its host is asked: what was settled must be there to be set right.
        await leases?.tellNow(holds.map(({ pot }) => pot));
      },
      correct: async (changes, row) => {
        const change = async () => {
          if (!(await row())) return false;
          for (const { bucket, period, more } of changes) this.#corrected(bucket, period, more);
          return true;
        };
        return book === null ? change() : book.inTurn(change);
      },
      ask: async (reserved, path, signal) => {
        const { setup, governance } = this.#host;
        if (setup.providers === undefined || governance?.policies === undefined) return null;
        return askHost({ providers: setup.providers, policies: governance.policies }, reserved, path, signal);
      },
      warn: (details, message) => this.log.warn(details, message),
    };
  }

  /** What was counted of a batch is another amount by now, and the database has it. */
  #corrected(bucket: string, period: string, more: number): void {
    const pot = this.#pots.find(bucket, { name: period });
    if (this.#book === null) {
      // The others are told by the database; so is this one, the next time.
      if (pot !== undefined) pot.needsTelling = true;
      return;
    }
    pot?.correct(more);
    const read = this.#read.get(`${bucket}@${period}`);
    if (pot === undefined && read !== undefined) {
      this.#read.set(`${bucket}@${period}`, { ...read, spent: Math.max(0, read.spent + more) });
    }
  }

  #warnUnpriced(model: string): void {
    if (this.#unpriced.has(model) || this.#unpriced.size >= MOST_WARNINGS) return;
    this.#unpriced.add(model);
    this.log.warn({ model }, 'a model without a price was called under a budget: what it costs is not counted');
  }

  async #look(): Promise<void> {
    const at = this.#looks++;
    const tidying = at % TIDY_EVERY === TIDY_EVERY - 1;
    if (this.#bank !== null && this.#leases !== null && this.#store !== null) {
      // Told first: the rest can wait, the others' money cannot.
      await this.#leases.tell(this.#pots);
      await this.#showLife(this.#bank);
      if (at < this.#carryUntil) await this.#carryOver();
      if ((await fingerprintOf(this.#store.db)) !== this.#fingerprint) await this.reload();
      if (at % SETTLE_EVERY === 0) await this.#bank.settleExpired();
      if (tidying) await this.#bank.tidy();
    }
    if (this.#book !== null && this.#store !== null) {
      await this.#book.write(this.#pots);
      if (tidying) await tidyMinutes(this.#store.db);
    }
    if (tidying) await this.batches?.tidy();
    // Hosts may take their time.
    if (at % BATCHES_EVERY === 0) void this.batches?.look();
    const { webhookUrl } = this.#host.config.limits;
    for (const pot of this.#pots) {
      const limit = this.#index.limits.get(pot.limit);
      if (limit?.kind === 'budget') {
        await this.#thresholds.look(limit, pot, webhookUrl, this.#host.setup.egress);
      }
      this.#letGo(pot);
    }
  }

  async #showLife(bank: PostgresBank): Promise<void> {
    const started = performance.now();
    const { replicas, older, nowMs } = await bank.alive();
    this.#replicas = replicas;
    this.#isOlderBeside = older > 0;
    if (older > 0) this.#carryUntil = this.#looks + CARRY_LOOKS;
    this.#clock.heard(nowMs, performance.now() - started);
  }

  async #carryOver(): Promise<void> {
    if (this.#store === null) return;
    const now = this.#now();
    const { keys } = this.#host.config;
    await carryOver({
      ...{ store: this.#store, limits: this.all, keys: this.keys, isOlderBeside: this.#isOlderBeside },
      isConfigured: (team, name) => keys.some((key) => key.tenant === team && key.name === name),
      periods: [spanOf('day', now).name, spanOf('month', now).name],
    });
  }

  #letGo(pot: Pot): void {
    const isTold = pot.spent === pot.told || this.#store === null || (this.#bank === null && pot.measure !== 'usd');
    if (pot.reserved === 0 && isTold && this.#now() > pot.span.endMs + KEPT_MS[pot.measure]) this.#pots.delete(pot);
  }

  async #readBook(book: Book): Promise<void> {
    const now = this.#now();
    // What an earlier process wrote down last may still be on its way into the database.
    await this.#store?.flush();
    this.#read = await book.read([spanOf('day', now).name, spanOf('month', now).name]);
    for (const { asker, tags, at, attempt } of await book.missed()) {
      if (attempt.purpose === 'audit') continue;
      // The key's own tags are among them; which ones they were nobody wrote down.
      const firstKeyId = asker.keyId === null ? undefined : this.keys.firstOf(asker.keyId);
      const matched = this.#index.match({ ...asker, firstKeyId }, tags, tags);
      const atMs = at.getTime();
      for (const meter of [...matched.budgets, ...matched.at(attempt.model, attempt.provider)]) {
        if (meter.measure === 'usd') meter.pot(atMs).settle(0, attempt.costUsd ?? 0);
      }
    }
  }
}

const MOST_WARNINGS = 1000;

/** Of those that would not let it in, what each says. @param isFree it costs nothing for certain */
function refusalsBy(
  meters: readonly Meter[],
  forecast: { readonly costUsd: number; readonly tokens: number },
  isFree: boolean,
  now: number,
): LimitReached[] {
  return meters.flatMap((meter) => {
    const pot = meter.pot(now);
    const amount = amountFor(meter.measure, forecast, meter.cap);
    if ((isFree && meter.measure === 'usd') || !pot.isKnown || amount <= pot.left + LEAST_SHARE * meter.cap) return [];
    return [refusal(meter, pot.spentByAll + amount > meter.cap ? 'spent' : 'elsewhere', amount, now)];
  });
}

function amountFor(measure: Measure, { costUsd, tokens }: { costUsd: number; tokens: number }, cap: number): number {
  if (measure === 'usd') return Math.max(costUsd, Math.min(LEAST_USD, cap));
  return measure === 'tokens' ? Math.min(tokens, cap) : 1;
}

/** Undefined: the limit does not count this any more. */
function capIn(limit: Limit, measure: Measure): number | undefined {
  if (limit.kind === 'budget') return measure === 'usd' ? limit.usd : undefined;
  return measure === 'tokens' ? limit.tokensPerMinute : measure === 'requests' ? limit.requestsPerMinute : undefined;
}
