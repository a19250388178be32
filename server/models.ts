/** The models that can be called: by what names, and at which deployments. Made anew when the configuration changes. */
import { type Candidate, type Catalog, providerOf, upstreamModelOf } from '../datasets/catalog/candidate.ts';
import { costUsd } from '../datasets/catalog/price.ts';
import { RoutingError } from '../datasets/index.ts';
import type { Caller } from './callers.ts';
import { ANYBODY, isAmong } from './callers.ts';
import type { DeploymentConfig, GatewayConfig } from './config/index.ts';
import { deploymentOf, type Target } from './forward/target.ts';
import { placeOf, refused } from './governance/policies/place.ts';
import { NO_RULES, type Place, type Refusal, type Rules } from './governance/policies/rules.ts';
import { nearest } from './nearest.ts';
import { type Credential, KINDS, type Provider, type Providers, sandbox } from './providers/index.ts';

/** A name that asks for a routed answer. */
export interface Auto {
  readonly kind: 'auto';
  /** What the name itself asks of the router: 0 cheapest … 10 best; undefined: nothing. */
  readonly dial: number | undefined;
  /** The client wrote another name than `auto`. */
  readonly alias: string | null;
}

/** One model, at the places where it can be had, in the order to try them. */
export interface Named {
  readonly kind: 'model';
  readonly id: string;
  readonly candidate: Candidate | undefined;
  readonly targets: readonly Target[];
  readonly alias: string | null;
}

/** `auto`, and how much it is to spend. */
const AUTO: ReadonlyMap<string, number | undefined> = new Map([
  ['auto', undefined],
  ['pointsman/auto', undefined],
  ['openrouter/auto', undefined],
  ['auto:cost', 2],
  ['auto:balanced', 5],
  ['auto:quality', 8],
]);

/** RouteLLM's names: `router-mf-0.11593`, where the threshold is the least win rate at which the strong model is called. */
const ROUTE_LLM = /^router-[a-z_]+-(0(?:\.\d+)?|1(?:\.0+)?)$/;

export type Models = ReturnType<typeof modelsOf>;

/** Where a model can be had. */
interface Placed {
  readonly provider: Provider;
  /** As the provider names it. */
  readonly model: string;
  readonly weight: number;
  /** The same as rules see it. */
  readonly place: Place;
}

type Config = Pick<GatewayConfig, 'aliases' | 'fallbacks' | 'models' | 'baseline' | 'retire'>;

/** @throws `INVALID_CONFIG` for a baseline that the catalog does not have, or a deployment whose provider is off */
export function modelsOf(config: Config, catalog: Catalog, providers: Providers) {
  const known = new Map(catalog.models.map((model) => [model.id, model]));
  const standIn = providers.size === 0 ? sandbox() : undefined;
  const usable = usableModels(catalog, providers, config.models);
  const chat = routable(usable, config);
  const baseline = baselineOf(config.baseline, catalog, chat);

  const placed = new Map<string, readonly Placed[]>();

  /** Places of a model: those written down, else the one that its id names. */
  function placesOf(id: string): readonly Placed[] {
    const remembered = placed.get(id);
    if (remembered !== undefined) return remembered;
    const places = foundPlacesOf(id).map(({ provider, model, weight }) => ({
      ...{ provider, model, weight },
      place: placeOf({ id, provider, upstreamModel: model }),
    }));
    // Others are names that clients make up.
    if (known.has(id) || Object.hasOwn(config.models, id)) placed.set(id, places);
    return places;
  }

  function foundPlacesOf(id: string): Omit<Placed, 'place'>[] {
    const listed: readonly DeploymentConfig[] = Object.hasOwn(config.models, id) ? config.models[id]! : [];
    const places = listed.flatMap(({ provider: name, model, weight }) => {
      const provider = providers.get(name);
      return provider === undefined ? [] : [{ provider, model: model ?? upstreamModelOf(id), weight }];
    });
    if (listed.length > 0 && (places.length > 0 || standIn === undefined)) return places;
    const own = providers.get(providerOf(id)) ?? (known.has(id) ? standIn : undefined);
    return own === undefined ? [] : [{ provider: own, model: upstreamModelOf(id), weight: 1 }];
  }

  /** Every (place, key) of a model that this tenant and the rules for its request may use, in an order drawn by weight. */
  function targetsOf(id: string, { tenant, rules }: Caller, random: () => number): Target[] {
    const candidate = known.get(id);
    const places = placesOf(id).filter(({ place }) => rules.allows(place));
    const targets = places.flatMap(({ provider, model, weight }) =>
      credentialsFor(provider, tenant).map((credential) => ({
        weight: weight * credential.weight,
        target: {
          id,
          upstreamModel: model,
          provider,
          credential,
          candidate,
          deployment: deploymentOf(provider, model, credential),
        },
      })),
    );
    if (targets.length === 1) return [targets[0]!.target];
    // Efraimidis & Spirakis: keys u^(1/w) sort into a weighted random order.
    return targets
      .map((one) => ({ ...one, key: random() ** (1 / one.weight) }))
      .sort((a, b) => b.key - a.key)
      .map(({ target }) => target);
  }

  /** By tenant: models that can be had at no place with a key of this tenant's or of everybody's. */
  const keyless = new Map<string, ReadonlySet<string>>();
  /** By rules and tenant: models that can be had at none of its places, and the rule that keeps the first of them out. */
  const forbidden = new WeakMap<Rules, Map<string, ReadonlyMap<string, Refusal>>>();

  function hasNoKey(id: string, { tenant }: Caller): boolean {
    let ids = keyless.get(tenant);
    if (ids === undefined) {
      const none = ({ provider }: { provider: Provider }) => credentialsFor(provider, tenant).length === 0;
      ids = new Set(usable.map((model) => model.id).filter((one) => placesOf(one).every(none)));
      keyless.set(tenant, ids);
    }
    return ids.has(id);
  }

  /** Of a model with a key: the rule that keeps out the places that there are. */
  function refusalAt(id: string, { tenant, rules }: Caller): Refusal | null {
    const places = placesOf(id).filter(({ provider }) => credentialsFor(provider, tenant).length > 0);
    const refusals = places.map(({ place }) => rules.refusalOf(place));
    if (refusals.includes(null)) return null;
    // One that waiting helps against is worth more to know than a rule that stays.
    return refusals.find((one) => one?.error !== undefined) ?? refusals[0] ?? null;
  }

  function forbiddenTo(caller: Caller): ReadonlyMap<string, Refusal> {
    const { tenant, rules } = caller;
    const byTenant = forbidden.get(rules) ?? new Map<string, ReadonlyMap<string, Refusal>>();
    forbidden.set(rules, byTenant);
    let ids = byTenant.get(tenant);
    if (ids === undefined) {
      const refusals = usable.map(({ id }) => [id, refusalAt(id, caller)] as const);
      ids = new Map(refusals.filter((one): one is [string, Refusal] => one[1] !== null));
      byTenant.set(tenant, ids);
    }
    return ids;
  }

  /** A rule alone keeps a model of the catalog out. */
  const isForbidden = (id: string, caller: Caller): boolean => caller.rules !== NO_RULES && forbiddenTo(caller).has(id);

  /** A limit, and no rule, keeps a model of the catalog out. */
  const isLimited = (id: string, caller: Caller): boolean =>
    caller.rules !== NO_RULES && forbiddenTo(caller).get(id)?.error !== undefined;

  const isOutOfReach = (id: string, caller: Caller): boolean => hasNoKey(id, caller) || isForbidden(id, caller);

  /** Why the rules refuse a model that could be had without them; null: they do not. */
  function refusalOf(id: string, caller: Caller): RoutingError | null {
    const refusal = refusalAt(id, caller);
    if (refusal === null) return null;
    const { place } = placesOf(id).find((one) => caller.rules.refusalOf(one.place)?.rule === refusal.rule)!;
    return refused(caller.rules, place, refusal);
  }

  /** An alias may name models to go on with; a concrete id never does. */
  function fallbacksOf(alias: string, primary: string, caller: Caller, random: () => number): Target[] {
    if (!Object.hasOwn(config.aliases, alias) || !Object.hasOwn(config.fallbacks, alias)) return [];
    return config.fallbacks[alias]!.map((name) => fullId(unalias(name)))
      .filter((id) => id !== primary && (caller.models === undefined || isAmong(id, caller.models)))
      .flatMap((id) => targetsOf(id, caller, random));
  }

  function fullId(model: string): string {
    if (known.has(model) || Object.hasOwn(config.models, model)) return model;
    const slash = model.indexOf('/');
    if (slash > 0 && (providers.has(model.slice(0, slash)) || KINDS.has(model.slice(0, slash)))) return model;
    const bare = usable.filter(({ id }) => upstreamModelOf(id) === model);
    return bare.length === 1 ? bare[0]!.id : model;
  }

  function unknownModel(model: string): RoutingError {
    const guess = nearest(model, ['auto', ...Object.keys(config.aliases), ...usable.map((one) => one.id)]);
    const hint = guess === undefined ? '' : ` Did you mean ${guess}?`;
    return new RoutingError(
      'UNKNOWN_MODEL',
      `no model ${shorten(model)} here.${hint} Ids are provider/model, "auto" has one chosen; GET /v1/models lists them all.`,
    );
  }

  /** Follows aliases; their circles were refused when the configuration was read. */
  function unalias(model: string): string {
    let name = model;
    for (let hops = 0; hops < 10 && Object.hasOwn(config.aliases, name); hops++) name = config.aliases[name]!;
    return name;
  }

  return {
    /** Catalog models that can be called now. */
    usable,
    /** Those that `auto` may choose. */
    candidates: chat,
    baseline,
    catalog,
    /** Undefined unless no provider is on at all. */
    sandbox: standIn,
    aliases: config.aliases,
    /** Models that only the configuration knows: they can be called by name. */
    listed: Object.keys(config.models).filter((id) => !known.has(id) && placesOf(id).length > 0),
    isOutOfReach,
    isForbidden,
    isLimited,
    refusalOf,
    /** What an alias stands for in the end. */
    meaning: unalias,
    priceDateOf: (id: string): string => known.get(id)?.priceDate ?? catalog.priceDate,

    /** What a name asks for, if anything routed. */
    autoOf(model: string): Auto | null {
      const name = unalias(model);
      const alias = name === 'auto' && name === model ? null : model;
      if (AUTO.has(name)) return { kind: 'auto', dial: AUTO.get(name), alias: model === 'auto' ? null : alias };
      const threshold = ROUTE_LLM.exec(name)?.[1];
      // The higher the threshold, the fewer prompts go to the strong model.
      return threshold === undefined ? null : { kind: 'auto', dial: 10 * (1 - Number(threshold)), alias: model };
    },

    /**
     * A model that was named: `provider/model`, a catalog model's bare name, or an alias of either.
     * @throws `UNKNOWN_MODEL` with the nearest known one, `PROVIDER_NOT_CONFIGURED`, `FORBIDDEN_MODEL`, `POLICY_REFUSED`
     */
    resolve(model: string, caller: Caller = ANYBODY, random: () => number = Math.random): Named {
      const name = unalias(model);
      const id = fullId(name);
      if (/[\p{Cc}]|\/$/u.test(id)) throw unknownModel(model);
      const alias = name === model ? null : model;
      if (caller.models !== undefined && !isAmong(id, caller.models) && !isAmong(model, caller.models)) {
        throw new RoutingError('FORBIDDEN_MODEL', `this key may not use ${shorten(id)}`);
      }
      const targets = [...targetsOf(id, caller, random), ...fallbacksOf(model, id, caller, random)];
      if (targets.length > 0) return { kind: 'model', id, candidate: known.get(id), targets, alias };
      const refusal = refusalOf(id, caller);
      if (refusal !== null) throw refusal;
      const provider = providerOf(id);
      if (placesOf(id).length > 0) {
        throw new RoutingError(
          'PROVIDER_NOT_CONFIGURED',
          `${id}: no key of ${provider} is for tenant ${caller.tenant}`,
        );
      }
      if (known.has(id) || Object.hasOwn(config.models, id) || (KINDS.has(provider) && standIn === undefined)) {
        const keys = KINDS.get(provider)?.keys.join(' or ');
        throw new RoutingError(
          'PROVIDER_NOT_CONFIGURED',
          `${id}: no key for provider ${provider}; set ${keys ?? `providers.${provider} in pointsman.yaml`} and start again`,
        );
      }
      throw unknownModel(model);
    },
  };
}

/** A tenant with keys of its own uses no others. */
export function credentialsFor(provider: Provider, tenant: string): readonly Credential[] {
  const own = provider.credentials.filter((credential) => credential.tenant === tenant);
  return own.length > 0 ? own : provider.credentials.filter((credential) => credential.tenant === undefined);
}

/** Models of the catalog that can be had at a provider that is on; all of them when none is, for the sandbox. */
export const usableModels = (
  catalog: Catalog,
  providers: Providers,
  deployments: GatewayConfig['models'] = {},
): Candidate[] =>
  catalog.models.filter(({ id }) => {
    if (providers.size === 0) return true;
    const listed = Object.hasOwn(deployments, id) ? deployments[id]! : [];
    return listed.length > 0 ? listed.some(({ provider }) => providers.has(provider)) : providers.has(providerOf(id));
  });

/** Of these models, the ones that `auto` may choose. */
export const routable = (models: readonly Candidate[], { retire }: Pick<GatewayConfig, 'retire'>): Candidate[] =>
  models.filter(({ id, kind }) => kind !== 'embedding' && !retire.includes(id));

/**
 * The model savings are counted against: the one named, or the dearest candidate.
 * @throws `INVALID_CONFIG`
 */
export function baselineOf(named: string | undefined, catalog: Catalog, candidates: readonly Candidate[]): Candidate {
  if (named === undefined) {
    const pool = candidates.length > 0 ? candidates : catalog.models;
    return pool.reduce((a, b) => (typicalCostUsd(b) > typicalCostUsd(a) ? b : a));
  }
  const found = catalog.models.find(({ id }) => id === named);
  if (found !== undefined) return found;
  const guess = nearest(
    named,
    catalog.models.map(({ id }) => id),
  );
  const hint = guess === undefined ? '' : `; did you mean ${guess}?`;
  throw new RoutingError('INVALID_CONFIG', `baseline ${named}: not in the catalog${hint}`);
}

/** A short request and a page of answer: what "the dearest candidate" is measured on. */
const typicalCostUsd = (model: Candidate): number => costUsd(model, { inputTokens: 1000, outputTokens: 500 });

export const shorten = (text: string): string => (text.length <= 100 ? text : `${text.slice(0, 100)}…`);
