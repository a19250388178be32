/** What all endpoints share: the router in force, the models that can be called, where rows go. */
import { randomBytes } from 'node:crypto';
import { type Candidate, type Catalog, providerOf, upstreamModelOf } from '../datasets/catalog/candidate.ts';
import { costUsd } from '../datasets/catalog/price.ts';
import { RoutingError } from '../datasets/index.ts';
import type { Decision } from '../router/decision.ts';
import type { Standing } from '../router/policy/certificate.ts';
import type { RoutableRequest } from '../router/request.ts';
import type { RouteOptions, Router } from '../router/router.ts';
import type { GatewayConfig } from './config/index.ts';
import type { DecisionRecord, Store } from './db/store.ts';
import { Drift } from './drift.ts';
import { Breaker } from './forward/breaker.ts';
import type { Target } from './forward/forward.ts';
import type { RequestLife } from './forward/watch.ts';
import { nearest } from './nearest.ts';
import type { Provider, Providers } from './providers/index.ts';
import { sandbox } from './providers/index.ts';
import { PRESETS } from './providers/presets.ts';

/** Swapped between requests when a new artifact is promoted; a request keeps the one it began with. */
export interface RouterHolder {
  current: Router;
}

export interface GatewayParts {
  readonly holder: RouterHolder;
  readonly store: Store;
  readonly config: GatewayConfig;
  readonly catalog: Catalog;
  /** Providers that are on; none at all means the sandbox answers for every model. */
  readonly providers: Providers;
}

/** Ids that ask for a routed answer. */
const AUTO = new Set(['auto', 'pointsman/auto']);
export const isAuto = (model: string): boolean => AUTO.has(model);

export class Gateway {
  readonly holder: RouterHolder;
  readonly store: Store;
  readonly config: GatewayConfig;
  readonly catalog: Catalog;
  /** The model savings are counted against. */
  readonly baseline: Candidate;
  /** Requests under way, and their decisions while these are not in the store. */
  readonly lives = new Set<RequestLife>();
  readonly pending = new Map<string, DecisionRecord>();
  closing = false;
  readonly breaker = new Breaker();
  readonly #drift = new Drift();
  readonly #providers: Providers;
  readonly #sandbox: Provider | undefined;
  readonly #models: ReadonlyMap<string, Candidate>;

  constructor({ holder, store, config, catalog, providers }: GatewayParts) {
    this.holder = holder;
    this.store = store;
    this.config = config;
    this.catalog = catalog;
    this.#providers = providers;
    this.#sandbox = providers.size === 0 ? sandbox() : undefined;
    this.#models = new Map(catalog.models.map((model) => [model.id, model]));
    this.baseline = baselineOf(config.baseline, catalog, holder.current.candidates);
  }

  get isSandbox(): boolean {
    return this.#sandbox !== undefined;
  }

  /** Catalog models that can be called now. */
  get models(): Candidate[] {
    return usableModels(this.catalog, this.#providers);
  }

  /**
   * A model the client named: `provider/model`, or a catalog model's bare name.
   * @throws `UNKNOWN_MODEL` with the nearest known one, `PROVIDER_NOT_CONFIGURED`
   */
  resolve(model: string): Target {
    const id = this.#fullId(model);
    const name = providerOf(id);
    const candidate = this.#models.get(id);
    const provider = this.#providers.get(name) ?? (candidate === undefined ? undefined : this.#sandbox);
    if (provider !== undefined) return { id, upstreamModel: upstreamModelOf(id), provider, candidate };
    if (candidate !== undefined || (PRESETS.has(name) && !this.isSandbox)) {
      const keys = PRESETS.get(name)?.keys.join(' or ');
      throw new RoutingError(
        'PROVIDER_NOT_CONFIGURED',
        `${id}: no key for provider ${name}; set ${keys ?? `providers.${name} in pointsman.yaml`} and start again`,
      );
    }
    const guess = nearest(model, ['auto', ...this.models.map((known) => known.id)]);
    const hint = guess === undefined ? '' : ` Did you mean ${guess}?`;
    throw new RoutingError(
      'UNKNOWN_MODEL',
      `no model ${shorten(model)} here.${hint} Ids are provider/model, "auto" has one chosen; GET /v1/models lists them all.`,
    );
  }

  /** The ranked candidates of a decision, as models to call. */
  targets(decision: Decision): Target[] {
    return decision.ranked.map(({ model }) => this.resolve(model));
  }

  /** What the baseline would have cost for the same tokens, USD at list price. */
  baselineCostUsd(tokens: { inputTokens: number; outputTokens: number; cachedInputTokens?: number }): number {
    return costUsd(this.baseline, tokens);
  }

  /** Routes a request, with a draw that nobody can foresee, past the models that keep failing. */
  async decide(
    request: RoutableRequest,
    asked: Pick<RouteOptions, 'policy' | 'critical'> = {},
  ): Promise<{ decision: Decision; routerMs: number }> {
    const router = this.holder.current;
    const started = performance.now();
    const draw = uniform();
    const unhealthy = this.breaker.resting(router.candidates.map(({ id }) => id));
    const decision = await router.route(request, { ...asked, draw, unhealthy }).catch((error) => {
      // Only resting models are left: better one that failed lately than none at all.
      if (unhealthy.length === 0 || error?.code !== 'NO_CANDIDATE') throw error;
      return router.route(request, { ...asked, draw });
    });
    const routerMs = performance.now() - started;
    this.#drift.note(router.artifactHash, decision.outOfDomain > router.policy.maxOutOfDomain);
    if (!decision.certificate.holds) return { decision, routerMs };
    return { decision: { ...decision, certificate: this.certificate }, routerMs };
  }

  /** Whether the certificate of the router in force covers what it does, on the prompts seen of late. */
  get certificate(): Standing {
    const { current } = this.holder;
    return current.certificate(this.#drift.share(current.artifactHash));
  }

  async close(): Promise<void> {
    await Promise.all([this.holder.current, ...this.#providers.values()].map((part) => part.close()));
  }

  #fullId(model: string): string {
    if (this.#models.has(model)) return model;
    const slash = model.indexOf('/');
    if (slash > 0 && (this.#providers.has(model.slice(0, slash)) || PRESETS.has(model.slice(0, slash)))) {
      return model;
    }
    const bare = this.models.filter(({ id }) => upstreamModelOf(id) === model);
    return bare.length === 1 ? bare[0]!.id : model;
  }
}

/**
 * The model savings are counted against: the one named, or the dearest candidate.
 * @throws `INVALID_CONFIG`
 */
export function baselineOf(named: string | undefined, catalog: Catalog, candidates: readonly Candidate[]): Candidate {
  if (named === undefined) return candidates.reduce((a, b) => (typicalCostUsd(b) > typicalCostUsd(a) ? b : a));
  const found = catalog.models.find(({ id }) => id === named);
  if (found !== undefined) return found;
  const guess = nearest(
    named,
    catalog.models.map(({ id }) => id),
  );
  const hint = guess === undefined ? '' : `; did you mean ${guess}?`;
  throw new RoutingError('INVALID_CONFIG', `baseline ${named}: not in the catalog${hint}`);
}

/** Models of the catalog whose provider is on; all of them when none is, for the sandbox. */
export const usableModels = (catalog: Catalog, providers: Providers): Candidate[] =>
  catalog.models.filter(({ id }) => providers.size === 0 || providers.has(providerOf(id)));

/** 128 random bits: an id cannot be guessed, and knowing one is what allows to give feedback on it. */
export const newDecisionId = (): string => randomBytes(16).toString('hex');

/** A short request and a page of answer: what "the dearest candidate" is measured on. */
const typicalCostUsd = (model: Candidate): number => costUsd(model, { inputTokens: 1000, outputTokens: 500 });

/** Uniform in [0, 1), 48 random bits. */
const uniform = (): number => randomBytes(6).readUIntBE(0, 6) / 2 ** 48;

export const shorten = (text: string): string => (text.length <= 100 ? text : `${text.slice(0, 100)}…`);
