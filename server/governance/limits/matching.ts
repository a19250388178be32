/** Which limits hold for a request: looked up by whose it is, and remembered for the next one of the same. */
import type { Caller } from '../../callers.ts';
import { isAmong } from '../../callers.ts';
import { type Period, type Span, spanOf } from './period.ts';
import type { Pot } from './pot.ts';
import { bucketOf, CONDITIONS, capOf, type Limit, type Measure, measuresOf, periodOf, subjectOf } from './terms.ts';

export type Asker = Pick<Caller, 'tenant' | 'name' | 'keyId' | 'project'>;

/** Pots by what they are kept by, for as long as their period lasts and a while longer. */
export class Pots {
  readonly #byId = new Map<string, Pot>();
  readonly #make: (meter: Meter, span: Span) => Pot;

  constructor(make: (meter: Meter, span: Span) => Pot) {
    this.#make = make;
  }

  get(meter: Meter, span: Span): Pot {
    const id = `${meter.bucket}@${span.name}`;
    let pot = this.#byId.get(id);
    if (pot === undefined) {
      pot = this.#make(meter, span);
      this.#byId.set(id, pot);
    }
    return pot;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** One that is used already. */
  find(bucket: string, span: Span): Pot | undefined {
    return this.#byId.get(`${bucket}@${span.name}`);
  }

  delete(pot: Pot): void {
    this.#byId.delete(pot.id);
  }

  [Symbol.iterator](): Iterator<Pot> {
    return this.#byId.values();
  }
}

/** One thing that one limit counts, for one team, key … where it counts each by itself. */
export class Meter {
  readonly limit: Limit;
  readonly measure: Measure;
  /** Whose it is, where the limit counts each by itself. */
  readonly subject: string | null;
  readonly bucket: string;
  readonly cap: number;
  readonly #period: Period;
  readonly #pots: Pots;
  #pot: Pot | undefined;

  constructor(limit: Limit, measure: Measure, subject: string | null, pots: Pots) {
    this.limit = limit;
    this.measure = measure;
    this.subject = subject;
    this.bucket = bucketOf(limit, measure, subject);
    this.cap = capOf(limit, measure);
    this.#period = periodOf(limit);
    this.#pots = pots;
  }

  /** That of the period now. */
  pot(nowMs: number): Pot {
    const pot = this.#pot;
    if (pot !== undefined && nowMs < pot.span.endMs && nowMs >= pot.span.startMs) return pot;
    this.#pot = this.#pots.get(this, spanOf(this.#period, nowMs));
    return this.#pot;
  }

  spanAt(nowMs: number): Span {
    return spanOf(this.#period, nowMs);
  }
}

/** The meters of one kind of request. */
export class Matched {
  readonly requests: readonly Meter[];
  readonly tokens: readonly Meter[];
  readonly budgets: readonly Meter[];
  /** Those that hold for some models or providers alone: which ones is known when it is known where a request goes. */
  readonly #ofModels: readonly { readonly limit: Limit; readonly meters: readonly Meter[] }[];
  readonly #allOfModels: readonly Meter[];
  readonly #byPlace = new Map<string, readonly Meter[]>();

  constructor(meters: readonly Meter[]) {
    const isOfModels = ({ limit }: Meter) => limit.model !== undefined || limit.provider !== undefined;
    const general = meters.filter((meter) => !isOfModels(meter));
    this.requests = general.filter(({ measure }) => measure === 'requests');
    this.tokens = general.filter(({ measure }) => measure === 'tokens');
    this.budgets = general.filter(({ measure }) => measure === 'usd');
    this.#allOfModels = meters.filter(isOfModels);
    this.#ofModels = [...new Set(this.#allOfModels.map(({ limit }) => limit))].map((limit) => ({
      limit,
      meters: this.#allOfModels.filter((meter) => meter.limit === limit),
    }));
  }

  /** Those that hold for some models or providers alone, all of them. */
  get ofModels(): readonly Meter[] {
    return this.#allOfModels;
  }

  /** Any USD budget holds, if only for some models. */
  get isBudgeted(): boolean {
    return this.budgets.length > 0 || this.#allOfModels.some(({ measure }) => measure === 'usd');
  }

  get isEmpty(): boolean {
    return this.requests.length + this.tokens.length + this.budgets.length === 0 && this.#ofModels.length === 0;
  }

  /** What holds of one model at one provider, beside what holds of all. */
  at(model: string, provider: string): readonly Meter[] {
    if (this.#ofModels.length === 0) return NONE;
    const place = `${model}\0${provider}`;
    let meters = this.#byPlace.get(place);
    if (meters === undefined) {
      meters = this.#ofModels
        .filter(
          ({ limit }) =>
            (limit.model === undefined || isAmong(model, [limit.model])) &&
            (limit.provider === undefined || isAmong(provider, [limit.provider])),
        )
        .flatMap((own) => own.meters);
      // Names of models may be the client's own.
      if (this.#byPlace.size >= MOST_PLACES) this.#byPlace.clear();
      this.#byPlace.set(place, meters);
    }
    return meters;
  }
}

const NONE: readonly Meter[] = [];
const MOST_PLACES = 1000;
const MOST_ASKERS = 10_000;

export class LimitIndex {
  readonly isEmpty: boolean;
  readonly limits: ReadonlyMap<string, Limit>;
  readonly #pots: Pots;
  /** By the narrowest condition that names somebody: `key\0NAME`; the rest hold for nearly everybody. */
  readonly #filed = new Map<string, Limit[]>();
  readonly #rest: Limit[] = [];
  /** Tags that any limit names: all others make no difference. */
  readonly #tags = new Set<string>();
  readonly #anyTag: boolean;
  readonly #matched = new Map<string, Matched>();

  constructor(limits: readonly Limit[], pots: Pots) {
    this.isEmpty = limits.length === 0;
    this.limits = new Map(limits.map((limit) => [limit.id, limit]));
    this.#pots = pots;
    this.#anyTag = limits.some(({ tag }) => tag === '*');
    for (const limit of limits) {
      if (limit.tag !== undefined) this.#tags.add(limit.tag);
      const condition = FILED_UNDER.find((one) => limit[one] !== undefined && limit[one] !== '*');
      if (condition === undefined) this.#rest.push(limit);
      else {
        const place = `${condition}\0${limit[condition]}`;
        const there = this.#filed.get(place);
        if (there === undefined) this.#filed.set(place, [limit]);
        else there.push(limit);
      }
    }
  }

  /** @param ownTags those of the key, which no client can think up */
  match(asker: Asker, tags: readonly string[], ownTags: readonly string[]): Matched {
    const { tenant, name, keyId, project } = asker;
    let who = `${tenant}\0${name ?? ''}\0${keyId ?? ''}\0${project ?? ''}`;
    for (const tag of tags) if (this.#tags.has(tag)) who += `\0${ownTags.includes(tag) ? 'own' : 'added'} ${tag}`;
    if (this.#anyTag) who += `\0\0${ownTags.join('\0')}`;
    let matched = this.#matched.get(who);
    if (matched === undefined) {
      matched = this.#compile(asker, tags, ownTags);
      if (this.#matched.size >= MOST_ASKERS) this.#matched.clear();
      this.#matched.set(who, matched);
    }
    return matched;
  }

  #compile(asker: Asker, tags: readonly string[], ownTags: readonly string[]): Matched {
    const { tenant, name, keyId, project } = asker;
    const places = [
      `team\0${tenant}`,
      ...(name === null ? [] : [`key\0${name}`]),
      ...(keyId === null ? [] : [`key\0${keyId}`]),
      ...(project === null ? [] : [`project\0${project}`]),
      ...tags.map((tag) => `tag\0${tag}`),
    ];
    const candidates = new Set([...places.flatMap((place) => this.#filed.get(place) ?? []), ...this.#rest]);
    return new Matched(
      [...candidates]
        .filter((limit) => holds(limit, asker, tags, ownTags))
        .flatMap((limit) =>
          subjectsOf(limit, asker, ownTags).flatMap((subject) =>
            measuresOf(limit).map((measure) => new Meter(limit, measure, subject, this.#pots)),
          ),
        ),
    );
  }
}

const FILED_UNDER = CONDITIONS.filter((condition) => condition !== 'model' && condition !== 'provider');

/**
 * Names of keys and added tags are chosen by whoever has them. An id is compared with ids alone, so that no key takes
 * another's for its name; where no team is named a tag counts only when it is the key's own.
 */
function holds(limit: Limit, asker: Asker, tags: readonly string[], ownTags: readonly string[]): boolean {
  const { tenant, name, keyId, project } = asker;
  return (
    (limit.team === undefined || limit.team === '*' || limit.team === tenant) &&
    (limit.project === undefined || (limit.project === '*' ? project !== null : limit.project === project)) &&
    (limit.key === undefined || (limit.key === '*' ? name !== null : limit.key === (isId(limit.key) ? keyId : name))) &&
    (limit.tag === undefined ||
      (limit.tag === '*' ? ownTags.length > 0 : (limit.team === undefined ? ownTags : tags).includes(limit.tag)))
  );
}

/** As ids of keys are made. */
const isId = (key: string): boolean => /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(key);

/**
 * Whom it counts by themselves; `[null]`: all that it holds for together. A key goes by its name within its team, so that
 * one that takes another's place by rotation goes on where that one was. Keys and projects of one name in several teams
 * are several.
 */
function subjectsOf(limit: Limit, { tenant, name, project }: Asker, ownTags: readonly string[]): (string | null)[] {
  const isOfAnyTeam = limit.team === undefined;
  const isByName = (said: string | undefined) => said !== undefined && isOfAnyTeam && !isId(said);
  const parts: string[] = [];
  if (limit.key === '*') parts.push(tenant, name!);
  else if (limit.project === '*') parts.push(tenant, project!);
  else if (limit.team === '*') parts.push(tenant);
  else if (isByName(limit.key)) parts.push(tenant, name!);
  else if (isOfAnyTeam && limit.project !== undefined) parts.push(tenant, project!);
  if (limit.tag !== '*') return [parts.length === 0 ? null : subjectOf(parts)];
  return [...new Set(ownTags)].map((tag) => subjectOf([...parts, tag]));
}
