/** Which limits hold for a request: looked up by whose it is, and remembered for the next one of the same. */
import type { Caller } from '../../callers.ts';
import { isAmong } from '../../callers.ts';
import { type Period, type Span, spanOf } from './period.ts';
import type { Pot } from './pot.ts';
import { bucketOf, CONDITIONS, capOf, type Limit, type Measure, measuresOf, periodOf, subjectOf } from './terms.ts';

export type Asker = Pick<Caller, 'tenant' | 'name' | 'keyId' | 'firstKeyId' | 'project'>;

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
  find(bucket: string, span: Pick<Span, 'name'>): Pot | undefined {
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

  /** Names of the USD budgets that hold, if only for some models. */
  get everyBudget(): string[] {
    const meters = [...this.budgets, ...this.#allOfModels].filter(({ measure }) => measure === 'usd');
    return [...new Set(meters.map(({ limit }) => limit.name))];
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
  readonly #firstOf: (keyId: string) => string;

  /** @param firstOf where the rotation chain of a key begins */
  constructor(limits: readonly Limit[], pots: Pots, firstOf = (keyId: string) => keyId) {
    this.isEmpty = limits.length === 0;
    this.#firstOf = firstOf;
    this.limits = new Map(limits.map((limit) => [limit.id, limit]));
    this.#pots = pots;
    this.#anyTag = limits.some(({ tag }) => tag === '*');
    for (const limit of limits) {
      if (limit.tag !== undefined) this.#tags.add(limit.tag);
      const condition = FILED_UNDER.find((one) => limit[one] !== undefined && limit[one] !== '*');
      // By which id its chain is known may change with the next rotation.
      const isOfOneId = condition === 'key' && isId(limit.key!);
      if (condition === undefined || isOfOneId) this.#rest.push(limit);
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
    const { tenant, name, keyId, firstKeyId, project } = asker;
    let who = `${tenant}\0${name ?? ''}\0${keyId ?? ''}\0${firstKeyId ?? ''}\0${project ?? ''}`;
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
    const { tenant, name, project } = asker;
    const places = [
      `team\0${tenant}`,
      ...(name === null ? [] : [`key\0${name}`]),
      ...(project === null ? [] : [`project\0${project}`]),
      ...tags.map((tag) => `tag\0${tag}`),
    ];
    const candidates = new Set([...places.flatMap((place) => this.#filed.get(place) ?? []), ...this.#rest]);
    return new Matched(
      [...candidates]
        .filter((limit) => holds(limit, asker, tags, ownTags, this.#firstOf))
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
 * another's for its name, and stands for its whole rotation chain; where no team is named a tag counts only when it is the
 * key's own.
 */
function holds(
  limit: Limit,
  asker: Asker,
  tags: readonly string[],
  ownTags: readonly string[],
  firstOf: (keyId: string) => string,
): boolean {
  const { tenant, name, project } = asker;
  const isOfKey = (key: string): boolean => {
    if (key === '*') return name !== null;
    if (!isId(key)) return key === name;
    const first = firstIdOf(asker);
    return first !== null && firstOf(key) === firstOf(first);
  };
  return (
    (limit.team === undefined || limit.team === '*' || limit.team === tenant) &&
    (limit.project === undefined || (limit.project === '*' ? project !== null : limit.project === project)) &&
    (limit.key === undefined || isOfKey(limit.key)) &&
    (limit.tag === undefined ||
      (limit.tag === '*' ? ownTags.length > 0 : (limit.team === undefined ? ownTags : tags).includes(limit.tag)))
  );
}

const firstIdOf = ({ keyId, firstKeyId }: Asker): string | null => firstKeyId ?? keyId;

/** As ids of keys are made. */
export const isId = (key: string): boolean => /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(key);

/**
 * Whom it counts by themselves; `[null]`: all that it holds for together. Each key goes by where its rotation chain begins,
 * so that neither its successor nor another name begins anew; one of the configuration by its name. Keys and projects of
 * one name in several teams are several.
 */
function subjectsOf(limit: Limit, asker: Asker, ownTags: readonly string[]): (string | null)[] {
  const { tenant, name, project } = asker;
  const isOfAnyTeam = limit.team === undefined;
  const isByName = (said: string | undefined) => said !== undefined && isOfAnyTeam && !isId(said);
  const parts: string[] = [];
  if (limit.key === '*') parts.push(tenant, firstIdOf(asker) ?? name!);
  else if (limit.project === '*') parts.push(tenant, project!);
  else if (limit.team === '*') parts.push(tenant);
  else if (isByName(limit.key)) parts.push(tenant, name!);
  else if (isOfAnyTeam && limit.project !== undefined) parts.push(tenant, project!);
  if (limit.tag !== '*') return [parts.length === 0 ? null : subjectOf(parts)];
  return [...new Set(ownTags)].map((tag) => subjectOf([...parts, tag]));
}
