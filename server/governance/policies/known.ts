/** What a configuration knows of models and the places where they are had: what examples and checks of a policy go by. */
import { type Catalog, providerOf, upstreamModelOf } from '../../../datasets/catalog/candidate.ts';
import type { Environment, GatewayConfig } from '../../config/index.ts';
import { regionOfKind } from '../../providers/index.ts';
import { ESCALATION_VERIFIER } from './place.ts';
import type { Place } from './rules.ts';

export interface Known {
  /** Ids of the models that `auto` could choose, whether or not their providers are on. */
  readonly candidates: readonly string[];
  /** Every id that catalog or configuration know. */
  readonly models: readonly string[];
  /** What else they are called. */
  readonly names: readonly string[];
  readonly providers: readonly string[];
  /** Of these, the ones of whose models nothing is written down: any may be meant. */
  readonly openProviders: readonly string[];
  /** Regions that somebody has said. */
  readonly regions: readonly string[];
  readonly teams: readonly string[];
  readonly keys: readonly string[];
  readonly verifiers: readonly string[];
  /** Where a model is had, whether or not there is a key: an example must come out the same where there is none. */
  placesOf(model: string): Place[];
}

const ownProvider = (id: string): string => (id.includes('/') ? providerOf(id) : '');

type Config = Pick<
  GatewayConfig,
  'providers' | 'models' | 'aliases' | 'keys' | 'teams' | 'retire' | 'verifiers' | 'escalation'
>;

export function knownTo(config: Config, catalog: Catalog, env: Environment = process.env): Known {
  const settingsOf = (provider: string) =>
    Object.hasOwn(config.providers, provider) ? config.providers[provider]! : undefined;
  const regionOf = (provider: string, model: string) => regionOfKind(provider, settingsOf(provider), env, model);
  const isOn = (id: string) => settingsOf(providerOf(id))?.enabled !== false;
  const ids = [...new Set([...catalog.models.map(({ id }) => id), ...Object.keys(config.models)])];
  const meaning = (name: string): string => {
    let id = name;
    for (let hops = 0; hops < 10 && Object.hasOwn(config.aliases, id); hops++) id = config.aliases[id]!;
    if (id.includes('/')) return id;
    const bare = ids.filter((one) => upstreamModelOf(one) === id);
    return bare.length === 1 ? bare[0]! : id;
  };
  const placesOf = (name: string): Place[] => {
    const id = meaning(name);
    const listed = Object.hasOwn(config.models, id)
      ? config.models[id]!
      : [{ provider: ownProvider(id), model: undefined }];
    return listed.map(({ provider, model = upstreamModelOf(id) }) => {
      const alsoCalled = `${provider}/${model}`;
      return {
        model: id,
        provider,
        region: regionOf(provider, model),
        ...(alsoCalled !== id && { alsoCalled }),
      };
    });
  };
  const ofCatalog = catalog.models.filter(
    ({ kind, id }) => kind !== 'embedding' && !config.retire.includes(id) && isOn(id),
  );
  const providers = new Set([...Object.keys(config.providers), ...ids.map(providerOf)]);
  return {
    candidates: ofCatalog.map(({ id }) => id),
    models: ids,
    names: [...Object.keys(config.aliases), ...ids.map(upstreamModelOf)],
    providers: [...providers],
    openProviders: [...providers].filter((provider) => !ids.some((id) => ownProvider(id) === provider)),
    regions: [...providers].flatMap((provider) => regionOf(provider, '') ?? []),
    teams: [...new Set(['default', ...Object.keys(config.teams), ...config.keys.map(({ tenant }) => tenant)])],
    keys: config.keys.map(({ name }) => name),
    verifiers: [
      ...config.verifiers.flatMap(({ kind, name }) => (kind === 'http' ? [name] : [])),
      ...(config.escalation.verifierUrl === undefined ? [] : [ESCALATION_VERIFIER]),
    ],
    placesOf,
  };
}
