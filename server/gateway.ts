/** What all endpoints share: the router in force, the models that can be called, where rows go. */
import type { Candidate, Catalog } from '../datasets/catalog/candidate.ts';
import { costUsd, type Tokens } from '../datasets/catalog/price.ts';
import { RoutingError } from '../datasets/index.ts';
import { AVERAGE_MODEL, type Decision } from '../router/decision.ts';
import type { Adjustments } from '../router/policy/adjustment.ts';
import type { Standing } from '../router/policy/certificate.ts';
import type { RoutableRequest } from '../router/request.ts';
import type { RouteOptions, Router } from '../router/router.ts';
import { type Afterwork, AfterworkQueue } from './afterwards.ts';
import { ANYBODY, type Caller, Callers, type CallersOptions } from './callers.ts';
import { askingOf, type GatewayConfig } from './config/index.ts';
import { Spending } from './db/spending.ts';
import type { DecisionRecord, Store } from './db/store.ts';
import type { Alarm } from './drift/alarms.ts';
import { Drift } from './drift.ts';
import { Egress } from './egress/index.ts';
import { Exploration } from './exploration/exploration.ts';
import type { Newcomers } from './exploration/newcomers.ts';
import { Hints } from './feedback/hints.ts';
import { Breaker } from './forward/breaker.ts';
import type { Media } from './forward/media.ts';
import type { Target } from './forward/target.ts';
import type { RequestLife } from './forward/watch.ts';
import { Governance } from './governance/governance.ts';
import { soonest } from './governance/limits/refusal.ts';
import { HeldObjects, type HeldStore } from './held-objects.ts';
import { Trials } from './learning/rollout/trials.ts';
import { type Models, modelsOf } from './models.ts';
import { EndUsers } from './privacy/end-user.ts';
import { keepText } from './privacy/keep-text.ts';
import type { Providers } from './providers/index.ts';
import { trusting } from './providers/transport.ts';
import { uniform } from './random.ts';
import { type PinStore, Sessions } from './sessions.ts';
import { teamsOver } from './teams.ts';
import { judgeTrouble } from './verify/judge.ts';

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
  /** Where pins are kept beyond this process; without it they are forgotten with it. */
  readonly pins?: PinStore | undefined;
  /** The same for what providers hold for whom. */
  readonly heldStore?: HeldStore | undefined;
  /** What learning has spent, known to all replicas; without it this process knows its own alone. */
  readonly spending?: Spending | undefined;
  /** `POINTSMAN_SECRET_KEY`: with it hashes of end users are keyed. */
  readonly secret?: string | undefined;
  /** Which candidates are new; without it none is. */
  readonly newcomers?: Newcomers | undefined;
  /** `POINTSMAN_ADMIN_KEY`: an admin's key beside those of the configuration. */
  readonly adminKey?: string | undefined;
}

/** What a change of the configuration replaces, all at once. A request keeps what it began with. */
export interface Setup {
  readonly config: GatewayConfig;
  readonly providers: Providers;
  readonly models: Models;
  readonly callers: Callers;
  /** What a request may make us fetch. */
  readonly media: Media;
  /** The way out to a verifier. */
  readonly egress: Egress;
}

export class Gateway {
  readonly holder: RouterHolder;
  readonly store: Store;
  /** Requests under way, and their decisions while these are not in the store. */
  readonly lives = new Set<RequestLife>();
  readonly pending = new Map<string, DecisionRecord>();
  /** Every answer is the last of its connection; then, closing, there are no more. */
  draining = false;
  closing = false;
  readonly breaker = new Breaker();
  readonly sessions: Sessions;
  readonly held: HeldObjects;
  /** A router on trial, and who takes part. */
  readonly trials = new Trials();
  /** What learning has spent today, on exploration and on audits. */
  readonly spending: Spending;
  readonly exploration: Exploration;
  readonly newcomers: Newcomers | null;
  /** What was seen of models since the router in force was fitted; replaced as a whole. */
  adjustments: Adjustments = new Map();
  /** What was seen to change in the world and nobody has cleared. */
  openAlarms: readonly Alarm[] = [];
  /** What is done with answers that are out. */
  readonly afterwards: Afterwork[] = [];
  readonly afterwork = new AfterworkQueue(this.afterwards);
  /** What a next request tells of the answer before it. */
  readonly hints: Hints;
  /** Makes hashes of the clients' own users. */
  readonly endUsers: EndUsers;
  /** Keys, policies, limits, guardrails, the response cache, and what is told of it all. */
  readonly governance: Governance;
  readonly #drift = new Drift();
  readonly #more: MoreCallers;
  #setup: Setup;

  constructor({
    holder,
    store,
    config,
    catalog,
    providers,
    pins,
    heldStore,
    spending,
    newcomers,
    secret,
    adminKey,
  }: GatewayParts) {
    this.holder = holder;
    this.store = store;
    this.sessions = new Sessions(pins ?? null);
    this.held = new HeldObjects(heldStore ?? null);
    this.governance = new Governance({ store, config, secret }, this);
    this.#more = { more: this.governance.keys, adminKey };
    this.#setup = this.setupFor(config, catalog, providers);
    this.hints = new Hints(store, () => this.config.feedback.hints);
    this.spending = spending ?? new Spending(null);
    this.newcomers = newcomers ?? null;
    this.exploration = new Exploration(this, this.newcomers);
    this.endUsers = new EndUsers(secret);
    this.afterwards.push(keepText(this));
  }

  get setup(): Setup {
    return this.#setup;
  }

  get config(): GatewayConfig {
    return this.#setup.config;
  }

  get catalog(): Catalog {
    return this.#setup.models.catalog;
  }

  /** `POINTSMAN_ADMIN_KEY` is set. */
  get hasAdminKey(): boolean {
    return this.#more.adminKey !== undefined;
  }

  /** Callers need a key. */
  get areAsked(): boolean {
    return this.#setup.callers.areAsked;
  }

  /** What holds for teams: of those in the database too, the configuration's word over theirs. */
  get teams(): GatewayConfig['teams'] {
    return teamsOver(this.config.teams, this.governance.keys.teams);
  }

  /** A setup of this gateway, not in force yet. @throws `INVALID_CONFIG` */
  setupFor(config: GatewayConfig, catalog: Catalog, providers: Providers): Setup {
    return setupOf(config, catalog, providers, this.#more);
  }

  /** The model savings are counted against. */
  get baseline(): Candidate {
    return this.#setup.models.baseline;
  }

  get isSandbox(): boolean {
    return this.#setup.models.sandbox !== undefined;
  }

  /**
   * Takes a changed configuration up; requests under way go on with the old one, and its providers are closed by
   * whoever holds them. @returns the providers that are no longer in force
   */
  adopt(setup: Setup): Providers {
    const before = this.#setup.providers;
    this.#setup = setup;
    return before;
  }

  /**
   * The ranked candidates of a decision, as places to call: those that rest last of their model. A model of which nothing
   * is known yet answers where it was drawn, never in another's place.
   */
  targets(decision: Decision, caller: Caller = ANYBODY): Target[] {
    const { models } = this.#setup;
    return decision.ranked.flatMap(({ model, like }, i) =>
      i > 0 && like === AVERAGE_MODEL ? [] : this.healthyFirst(models.resolve(model, EVERY_MODEL(caller)).targets),
    );
  }

  healthyFirst(targets: readonly Target[]): Target[] {
    if (targets.length === 1 || this.breaker.isQuiet) return [...targets];
    return [...targets.filter((t) => !this.breaker.rests(t)), ...targets.filter((t) => this.breaker.rests(t))];
  }

  /** What the baseline would have cost for the same tokens, USD at list price. */
  baselineCostUsd(tokens: Tokens): number {
    return costUsd(this.baseline, tokens);
  }

  /**
   * Routes a request past the models that keep failing.
   * @param router the one in force, or one on trial
   * @param draw uniform in [0, 1); default: one that nobody can foresee. All turns of a conversation have the same.
   */
  async decide(
    request: RoutableRequest,
    asked: Omit<RouteOptions, 'draw' | 'unhealthy'> = {},
    caller: Caller = ANYBODY,
    draw: number = uniform(),
    router: Router = this.holder.current,
  ): Promise<{ decision: Decision; routerMs: number }> {
    const started = performance.now();
    const { models } = this.#setup;
    if (router.candidates.some(({ id }) => models.isOutOfReach(id, caller))) {
      asked = this.#withinReach(asked, router, caller);
    }
    const unhealthy = this.#resting(router, caller);
    // What was seen is beside the forecasts of the router in force; one on trial has learned of it, or is to be seen for itself.
    if (this.adjustments.size > 0 && router === this.holder.current) {
      asked = { adjustments: this.adjustments, ...asked };
    }
    const decision = await router.route(request, { ...asked, draw, unhealthy }).catch((error) => {
      // Only resting models are left: better one that failed lately than none at all.
      if (unhealthy.length === 0 || error?.code !== 'NO_CANDIDATE') throw error;
      return router.route(request, { ...asked, draw });
    });
    const routerMs = performance.now() - started;
    if (router === this.holder.current)
      this.#drift.note(router.artifactHash, decision.outOfDomain > router.policy.maxOutOfDomain);
    if (!decision.certificate.holds) return { decision, routerMs };
    return { decision: { ...decision, certificate: this.certificate }, routerMs };
  }

  /** @throws `POLICY_REFUSED` where rules alone leave nothing to choose from; what limits say where waiting helps */
  #withinReach<T extends Pick<RouteOptions, 'allowed'>>(asked: T, { candidates }: Router, caller: Caller) {
    const { models } = this.#setup;
    const within = asked.allowed ?? candidates.map(({ id }) => id);
    const allowed = within.filter((id) => !models.isOutOfReach(id, caller));
    const forbidden = within.filter((id) => models.isForbidden(id, caller));
    if (allowed.length === 0 && forbidden.length > 0) {
      const refusal = soonest(forbidden.map((id) => models.refusalOf(id, caller)));
      if (refusal !== null) throw refusal;
    }
    const limited = forbidden.filter((id) => models.isLimited(id, caller));
    const ruledOut = limited.length === 0 ? forbidden : forbidden.filter((id) => !limited.includes(id));
    return {
      ...{ ...asked, allowed },
      ...(ruledOut.length > 0 && { forbidden: ruledOut }),
      ...(limited.length > 0 && { limited }),
    };
  }

  /** Candidates of which every deployment rests. */
  #resting({ candidates }: Router, caller: Caller): string[] {
    if (this.breaker.isQuiet) return [];
    const { models } = this.#setup;
    return candidates
      .map(({ id }) => id)
      .filter((id) => !models.isOutOfReach(id, caller))
      .filter((id) => models.resolve(id, EVERY_MODEL(caller)).targets.every((target) => this.breaker.rests(target)));
  }

  /** Whether the certificate of the router in force covers what it does, on the prompts seen of late. */
  get certificate(): Standing {
    const { current } = this.holder;
    return current.certificate(this.#drift.share(current.artifactHash));
  }

  async close(): Promise<void> {
    await this.afterwork.stop(0);
    await Promise.all([this.spending.stop(), this.newcomers?.stop(), this.governance.stop()]);
    const { router } = this.trials.current ?? {};
    const parts = [this.holder.current, ...(router === undefined ? [] : [router]), ...this.#setup.providers.values()];
    await Promise.all(parts.map((part) => part.close()));
  }
}

/** Keys that are not of the configuration. */
type MoreCallers = Pick<CallersOptions, 'more' | 'adminKey'>;

/** @throws `INVALID_CONFIG` */
function setupOf(config: GatewayConfig, catalog: Catalog, providers: Providers, more: MoreCallers): Setup {
  const { egress: allowed, keys, caFile } = config;
  const secureContext = caFile === undefined || allowed.allow.length === 0 ? undefined : trusting(caFile);
  const egress = new Egress(allowed, { secureContext });
  const models = modelsOf(config, catalog, providers);
  const trouble = judgeTrouble(config, models);
  if (trouble !== null) throw new RoutingError('INVALID_CONFIG', trouble);
  return {
    config,
    providers,
    models,
    callers: new Callers(keys, { ...more, asking: askingOf(config) }),
    media: {
      fetch: (url) => egress.fetchBytes(url),
      allowed: allowed.allow.length > 0,
      // Asked each time: keys of the database come and go.
      get shared() {
        return keys.length > 1 || more.more?.isEmpty === false;
      },
    },
    egress,
  };
}

/** A routed request was filtered by what its key may use before; here only the tenant counts. */
const EVERY_MODEL = (caller: Caller): Caller =>
  caller.models === undefined ? caller : { ...caller, models: undefined };
