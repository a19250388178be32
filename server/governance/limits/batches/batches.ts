/**
 * Batches under budgets: what a batch may cost is set aside before its host is asked, kept in the database for as long as it
 * runs, and settled once it is over.
 */
import { randomUUID } from 'node:crypto';
import { RoutingError } from '../../../../datasets/errors.ts';
import { hold as holdObject } from '../../../db/held-objects.ts';
import type { SqlStore } from '../../../db/store.ts';
import type { Entrant } from '../entrant.ts';
import { type Expectation, type Forecasts, priceOfPrompts } from '../forecast.ts';
import { refuseUnmetered } from '../refusal.ts';
import { type AskedOfFile, endpointOf } from './asked.ts';
import { type BatchEnd, batchPrice, type ExpectedOfModel, endOf, shareAt } from './expected.ts';
import type { BatchHold } from './hold.ts';
import { mayBe, surelyLacks } from './listed.ts';
import { BatchAccount, type BatchMaking, RATED } from './making.ts';
import {
  addReserve,
  type Counted,
  dropReserve,
  findFile,
  findReserve,
  forgetFile,
  isReserved,
  keepFile,
  nameBatch,
  openReserves,
  type Reserved,
  type SettledBy,
  settleReserve,
  takeDue,
  tidyBatches,
} from './rows.ts';

/** What batches need of limits. */
export interface BatchesHost {
  readonly store: SqlStore;
  readonly forecasts: Forecasts;
  readonly now: () => number;
  readonly terms: () => { readonly allowUnmetered: boolean; readonly batchPrices: Readonly<Record<string, number>> };
  /** Names of the budgets that hold, if only for some models. */
  budgetsOf(entrant: Entrant): readonly string[];
  /** Sets aside in all of its budgets, or in none; of its rates it uses up what is left at most. @throws LimitReached */
  hold(entrant: Entrant, provider: string, expected: readonly ExpectedOfModel[]): Promise<readonly BatchHold[]>;
  /** It is not made. @param isSpent nobody knows whether it was written down: it counts all the same */
  letGo(holds: readonly BatchHold[], isSpent: boolean): void;
  /** Writes it down with `row`, and counts what was set aside as spent. @throws `DATABASE_UNAVAILABLE` */
  spend(holds: readonly BatchHold[], row: (how: { counts: boolean }) => Promise<void>): Promise<void>;
  /** Changes what counts of budgets with `row`, which says whether it was the one to do so. */
  correct(
    changes: readonly (Pick<Counted, 'bucket' | 'period'> & { readonly more: number })[],
    row: () => Promise<boolean>,
  ): Promise<boolean>;
  /** What its host says of a batch or of those that there are, where the rules let anybody ask; null: nothing. */
  ask(reserved: Reserved, path: string, signal: AbortSignal): Promise<Readonly<Record<string, unknown>> | null>;
  warn(details: object, message: string): void;
}

/** A batch that is to be made. */
export interface NewBatch {
  readonly file: string;
  /** As its client says. */
  readonly endpoint: unknown;
  readonly window: unknown;
  readonly provider: string;
  readonly deployment: string;
  /** Members of what asks for it that nobody here knows: what they do its host alone can tell. */
  readonly unknown?: readonly string[];
  /** By the host's name of a model; null: nobody knows its price. */
  priceOf(model: string): { readonly id: string; readonly price: NonNullable<Expectation['price']> } | null;
}

/** Files whose contents are known here without asking. */
const MOST_FILES = 500;
const HOUR_MS = 3_600_000;
/** Hosts end a batch some time after it was due. */
const MARGIN_MS = 2 * HOUR_MS;
const USUAL_HOURS = 24;
const MOST_HOURS = 31 * 24;
/** One that its host does not list after so long was not made. */
const SETTLED_MS = 10 * 60_000;

export class Batches {
  readonly #host: BatchesHost;
  readonly #files = new Map<string, AskedOfFile>();
  readonly #stopped = new AbortController();
  #looking: Promise<void> | null = null;

  constructor(host: BatchesHost) {
    this.#host = host;
  }

  /** What a file asks for that its host has taken; every replica finds it. Never rejects. */
  async keep(tenant: string, file: string, asked: AskedOfFile): Promise<void> {
    const { store, now, warn } = this.#host;
    this.#files.set(keyOf(tenant, file), asked);
    if (this.#files.size > MOST_FILES) this.#files.delete(this.#files.keys().next().value!);
    await keepFile(store.db, { tenant, file, asked, createdAt: new Date(now()) }).catch(({ code }) =>
      warn({ code, file }, 'what a file of a batch asks for could not be written down'),
    );
  }

  /** Its host has it no more. Never rejects. */
  async forget(tenant: string, file: string): Promise<void> {
    this.#files.delete(keyOf(tenant, file));
    await forgetFile(this.#host.store.db, tenant, file).catch(() => undefined);
  }

  /**
   * Sets aside what a batch may cost, durably.
   * @returns null: nothing is known of what it may cost, and nobody minds
   * @throws `BUDGET_EXCEEDED`, `RATE_LIMITED`; `FORBIDDEN` where nobody can tell what it may cost; `INVALID_REQUEST`
   */
  async reserve(entrant: Entrant, made: NewBatch): Promise<BatchMaking | null> {
    const { store, now, terms, budgetsOf, hold, letGo, spend } = this.#host;
    const { caller, tags } = entrant;
    const budgets = budgetsOf(entrant);
    const { allowUnmetered } = terms();
    const asked = await this.#find(caller.tenant, made.file, budgets.length > 0 && !allowUnmetered);
    const expected = asked === null ? UNSEEN : (beside(made.unknown) ?? this.#expect(asked, made));
    if (typeof expected === 'string') {
      if (budgets.length > 0 && !allowUnmetered) refuseUnmetered('batches', budgets, expected);
      return null;
    }
    const holds = await hold(entrant, made.provider, expected);
    if (holds.length === 0) return RATED;
    const createdAt = new Date(now());
    const reserved: Reserved = {
      ...{ id: randomUUID(), tenant: caller.tenant, provider: made.provider, deployment: made.deployment, batch: null },
      caller: {
        ...{ name: caller.name, keyId: caller.keyId, project: caller.project },
        ...{ ownTags: [...caller.tags], tags: [...tags] },
      },
      expected: { file: made.file, models: [...expected] },
      holds: holds.map(({ pot, usd, models }) => ({
        ...{ bucket: pot.bucket, period: pot.span.name, usd },
        ...(models !== null && { models: [...models] }),
      })),
      ...{ createdAt, endsAt: new Date(createdAt.getTime() + windowMs(made.window) + MARGIN_MS), settledBy: null },
    };
    try {
      await spend(holds, (how) => addReserve(store.db, reserved, how));
    } catch (error) {
      // Its answer may have got lost: a row that nothing was counted for must not be settled.
      const isGone = await dropReserve(store.db, reserved.id).then(
        () => true,
        () => false,
      );
      letGo(holds, !isGone);
      throw error;
    }
    return new BatchAccount(this, reserved);
  }

  /** A batch as its host describes it: one that is over is settled. Never rejects: the gateway looks again by itself. */
  async seen(
    { tenant, deployment }: Pick<Reserved, 'tenant' | 'deployment'>,
    batch: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    try {
      if (typeof batch.id !== 'string') return;
      const reserved = await findReserve(this.#host.store.db, { tenant, deployment, batch: batch.id });
      const end = reserved === null ? null : endOf(batch, reserved.expected.models);
      if (reserved !== null && end !== null) await this.#end(reserved, end);
    } catch (error) {
      this.#trouble(error);
    }
  }

  /** Asks hosts for batches that nobody has asked for in a while, and settles those that must be over. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error) => this.#trouble(error))
      .finally(() => {
        this.#looking = null;
      });
    return this.#looking;
  }

  /** Leaves off looking. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#looking;
  }

  /** USD set aside for batches that are not over, by `bucket@period`. @throws `DATABASE_UNAVAILABLE` */
  open(): Promise<ReadonlyMap<string, number>> {
    return openReserves(this.#host.store.db);
  }

  /** @throws `DATABASE_UNAVAILABLE` */
  tidy(): Promise<void> {
    return tidyBatches(this.#host.store.db);
  }

  /** It is made, and called this. @throws `DATABASE_UNAVAILABLE` */
  async name(reserved: Reserved, json: Readonly<Record<string, unknown>>): Promise<Reserved> {
    const { id: batch, expires_at: expires } = json;
    const expiresMs = typeof expires === 'number' ? 1000 * expires : Number.NaN;
    const isSoon = Math.abs(expiresMs - reserved.createdAt.getTime()) < MOST_HOURS * HOUR_MS;
    const endsAt = isSoon ? new Date(expiresMs + MARGIN_MS) : reserved.endsAt;
    const named = { ...reserved, batch: String(batch), endsAt };
    await nameBatch(this.#host.store.db, reserved.id, named);
    const end = endOf(json, named.expected.models);
    if (end !== null) await this.#end(named, end);
    return named;
  }

  /** It was never made. @throws `DATABASE_UNAVAILABLE` */
  refused(reserved: Reserved): Promise<void> {
    return this.#settle(
      reserved,
      'refused',
      reserved.expected.models.map(() => 0),
    );
  }

  #end(reserved: Reserved, { by, costs }: BatchEnd): Promise<void> {
    // What was settled by a forecast is set right by a count alone.
    return reserved.settledBy !== null && by === 'forecast' ? Promise.resolve() : this.#settle(reserved, by, costs);
  }

  async #settle(reserved: Reserved, by: SettledBy, costs: readonly number[]): Promise<void> {
    const { store, now, correct } = this.#host;
    const holds = settledHolds(reserved, costs);
    const changes = holds.map(({ bucket, period, usd }, i) => ({ bucket, period, more: usd - reserved.holds[i]!.usd }));
    await correct(changes, () => settleReserve(store.db, reserved, by, holds, new Date(now())));
  }

  async #find(tenant: string, file: string, isNeeded: boolean): Promise<AskedOfFile | null> {
    const known = this.#files.get(keyOf(tenant, file));
    if (known !== undefined) return known;
    return findFile(this.#host.store.db, tenant, file).catch((error) => {
      if (isNeeded) throw error;
      return null;
    });
  }

  /** @returns why nobody can tell @throws `INVALID_REQUEST` for another endpoint than its lines are for */
  #expect({ url, models, fault }: AskedOfFile, made: NewBatch): readonly ExpectedOfModel[] | string {
    if (fault !== null) return `what the requests of this file may cost cannot be foreseen (${fault})`;
    const endpoint = endpointOf(made.endpoint);
    if (endpoint !== url) {
      throw new RoutingError('INVALID_REQUEST', `endpoint: the lines of the file are for ${url}, so it must be that`);
    }
    const share = shareAt(made.provider, this.#host.terms().batchPrices);
    const expected: ExpectedOfModel[] = [];
    for (const { model, ...asked } of models) {
      const found = made.priceOf(model);
      if (found === null) {
        const why = AUTO.test(model) ? 'a batch is not routed' : `nobody here knows the price of ${model}`;
        return `${why}: name in its lines models as ${made.provider} calls them, and that have a price here`;
      }
      const { id, price } = found;
      const { inputTokens, outputTokens, costUsd } = this.#host.forecasts.ofMany(id, asked, price);
      const priced = priceOfPrompts(price, asked.longestChars / CHARS_PER_TOKEN);
      expected.push({
        ...{ model: id, requests: asked.requests, inputTokens, outputTokens, usd: share * costUsd },
        price: batchPrice(priced, share),
      });
    }
    return expected;
  }

  async #look(): Promise<void> {
    const { store, now } = this.#host;
    for (const reserved of await takeDue(store.db, new Date(now()))) {
      if (this.#stopped.signal.aborted) return;
      const isLate = now() >= reserved.endsAt.getTime();
      if (reserved.batch === null) await this.#lookForUnnamed(reserved, isLate);
      else {
        const json = await this.#ask(reserved, `/batches/${encodeURIComponent(reserved.batch)}`);
        const end = json?.id === reserved.batch ? endOf(json, reserved.expected.models) : null;
        if (end !== null) await this.#end(reserved, end);
        else if (isLate && !this.#stopped.signal.aborted) await this.#asForeseen(reserved);
      }
    }
  }

  /** Whether it was made nobody has heard: its host knows. */
  async #lookForUnnamed(reserved: Reserved, isLate: boolean): Promise<void> {
    const { store, now } = this.#host;
    const madeMs = reserved.createdAt.getTime();
    const list = now() - madeMs < SETTLED_MS ? null : await this.#ask(reserved, '/batches?limit=100');
    const sought = { file: reserved.expected.file, madeMs };
    const isElse = (batch: string) => isReserved(store.db, reserved.deployment, batch);
    for (const one of mayBe(list, sought)) {
      if (await isElse(one.id)) continue;
      await this.#holdFor(reserved, one.id);
      await this.name(reserved, one);
      return;
    }
    if (await surelyLacks(list, sought, isElse)) await this.refused(reserved);
    else if (isLate && !this.#stopped.signal.aborted) await this.#asForeseen(reserved);
  }

  /** Its maker never heard of it, and may ask for it from now on. @throws `DATABASE_UNAVAILABLE` */
  #holdFor({ tenant, provider, deployment }: Reserved, id: string): Promise<void> {
    const { store, now } = this.#host;
    const createdAt = new Date(now());
    return holdObject(store.db, { id, kind: 'batch', tenant, provider, deployment, model: null, createdAt });
  }

  #ask(reserved: Reserved, path: string) {
    return this.#host.ask(reserved, path, this.#stopped.signal);
  }

  #asForeseen(reserved: Reserved): Promise<void> {
    return this.#settle(
      reserved,
      'forecast',
      reserved.expected.models.map(({ usd }) => usd),
    );
  }

  #trouble(error: unknown): void {
    const { code, message } = error as { code?: string; message: string };
    this.#host.warn({ code, reason: message }, 'a batch could not be settled yet');
  }
}

/** What counts of each budget once it is known what each model's part has cost. */
export function settledHolds(
  { holds, expected }: Pick<Reserved, 'holds' | 'expected'>,
  costs: readonly number[],
): Counted[] {
  return holds.map((hold) => ({
    ...hold,
    usd: expected.models.reduce(
      (sum, { model }, i) => sum + (hold.models?.includes(model) === false ? 0 : costs[i]!),
      0,
    ),
  }));
}

/** `24h`, `7d`; what is neither is its host's to refuse. */
function windowMs(said: unknown): number {
  const [, count, unit] = (typeof said === 'string' && /^(\d{1,4})([hd])$/.exec(said)) || [];
  const hours = count === undefined ? USUAL_HOURS : Number(count) * (unit === 'd' ? 24 : 1);
  return Math.min(MOST_HOURS, Math.max(1, hours)) * HOUR_MS;
}

/** A host may take another model or file by them. @returns why nobody can tell */
const beside = (unknown: readonly string[] = []): string | null =>
  unknown.length === 0
    ? null
    : `what ${unknown
        .slice(0, 3)
        .map((name) => JSON.stringify(name.slice(0, 40)))
        .join(', ')} of this request changes is not known here: leave it out`;

const keyOf = (tenant: string, file: string): string => JSON.stringify([tenant, file]);

const AUTO = /^(?:pointsman\/)?auto(?::|$)/;
const CHARS_PER_TOKEN = 4;
const UNSEEN =
  'what is in this file is not known here: it was uploaded beside this gateway, or while no limit held. Upload it again through the gateway with purpose “batch”, and make the batch of the new file';
