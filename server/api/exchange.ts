/** A request under way: routed for `auto`, or bound for the model that the client named. */
import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { RoutingError } from '../../datasets/index.ts';
import type { Decision } from '../../router/decision.ts';
import { type RoutableRequest, readRequest } from '../../router/request.ts';
import type { RouteOptions, Router } from '../../router/router.ts';
import type { Caller } from '../callers.ts';
import { isAmong } from '../callers.ts';
import type { GuardHit } from '../db/records.ts';
import type { DecisionRecord } from '../db/store.ts';
import type { Target } from '../forward/target.ts';
import type { Gateway } from '../gateway.ts';
import type { Kept } from '../governance/cache/response-cache.ts';
import type { DecideBy } from '../learning/rollout/shadow.ts';
import type { Auto, Named } from '../models.ts';
import { endUserIn } from '../privacy/end-user.ts';
import type { SurfaceName } from '../protocols/index.ts';
import { cachedPrefix, type Pin } from '../sessions.ts';
import { teamOf } from '../teams.ts';
import type { Trace } from '../telemetry/telemetry.ts';
import { auditDraw } from '../verify/index.ts';
import { type HeldBy, heldAmongTargets, heldElsewhere } from './held.ts';
import { blameRequest, routeOptionsOf, type Wishes } from './knobs.ts';
import type { PassingOver } from './passing-over.ts';
import { type SessionId, sessionIdOf } from './session-id.ts';
import type { Expected } from './told.ts';

export interface Exchange {
  readonly record: DecisionRecord;
  readonly targets: readonly Target[];
  readonly expected: Expected;
  readonly alias: string | null;
  /** What a pin is kept by; null: nothing to keep. */
  readonly conversation: string | null;
  /** The same decision by another router, which is not acted upon; null where the client named a model. */
  readonly decideBy: DecideBy | null;
}

/** What is known of a request before it is decided where it goes. */
export interface Incoming {
  readonly request: FastifyRequest;
  readonly surface: SurfaceName;
  readonly json: Readonly<Record<string, unknown>> & { readonly model: string };
  readonly wishes: Wishes;
  /** Bound by the rules and limits that hold for this request. */
  readonly caller: Caller;
  /** Tags of the key, and those that the client added. */
  readonly tags: readonly string[];
  readonly trace: Trace;
  /** The budget that made `auto` cheaper; default: none did. */
  readonly softLimit?: string | null | undefined;
  /** What guardrails found in it. */
  readonly hits: readonly GuardHit[];
  /** An object that a provider holds for this conversation: only the same key of it can go on. */
  readonly heldBy?: HeldBy | undefined;
}

/** @param passing the models that `auto` passes over */
export async function exchangeFor(
  gateway: Gateway,
  incoming: Incoming,
  auto: Auto | null,
  passing: PassingOver,
): Promise<Exchange> {
  const { request, json, wishes } = incoming;
  const session = sessionIdOf(wishes.routing.session, request.headers, json);
  return auto === null ? named(gateway, incoming, session) : routed(gateway, incoming, session, auto, passing);
}

/** Of an answer that was given before, and is given again: nothing was decided, and no provider is called. */
export function keptRecord(gateway: Gateway, incoming: Incoming, { model, costUsd }: Kept): DecisionRecord {
  const session = sessionIdOf(incoming.wishes.routing.session, incoming.request.headers, incoming.json);
  return recordOf(gateway, incoming, session, {
    ...undecided(gateway, model),
    routed: false,
    reason: 'cached',
    executedModel: model,
    // What it spared is no saving of routing: it is told, and counted, apart.
    facts: { ...factsOf(incoming.json, incoming.surface), cachedUsd: costUsd },
    cached: true,
  });
}

/** Of a prompt that a guardrail let nobody see. */
export function blockedRecord(gateway: Gateway, incoming: Incoming): DecisionRecord {
  const session = sessionIdOf(incoming.wishes.routing.session, incoming.request.headers, incoming.json);
  return recordOf(gateway, incoming, session, {
    ...undecided(gateway, incoming.json.model),
    routed: false,
    reason: 'blocked',
    facts: factsOf(incoming.json, incoming.surface) ?? {},
  });
}

async function routed(
  gateway: Gateway,
  incoming: Incoming,
  session: SessionId,
  auto: Auto,
  passing: PassingOver,
): Promise<Exchange> {
  const { json, wishes, caller, surface, heldBy } = incoming;
  refuseAuto(caller, json.model);
  const { sessions } = gateway.config;
  const ttlMs = sessions.ttlMinutes * 60_000;
  const { conversation } = session;
  const pin = conversation === null ? null : await gateway.sessions.find(caller.tenant, conversation, ttlMs);
  const candidates = gateway.holder.current.candidates.map(({ id }) => id);
  const team = teamOf(gateway, caller.tenant);
  const arm = gateway.trials.draw(team, conversation ?? incoming.request.id);
  const ofSession = sessionOptions(pin, json, surface, sessions.sticky, heldBy);
  const draw = conversation === null ? undefined : drawOf(caller.tenant, conversation);
  const { decision, routerMs, decideBy, bound } = await passing.decide(caller, async (bound) => {
    const options: Omit<RouteOptions, 'draw' | 'unhealthy'> = {
      ...withinReach(
        gateway,
        { heldBy, surface },
        routeOptionsOf(wishes.routing, bound, candidates),
        candidates,
        bound,
      ),
      ...(surface !== 'embeddings' && { shape: surface }),
      ...ofSession,
      ...gateway.exploration.routeOptions(team, bound.rules),
    };
    const decideBy = (router?: Router) => gateway.decide(json as RoutableRequest, options, bound, draw, router);
    const made = await gateway.trials.decide(arm, decideBy).catch((error) => blameRequest(error, wishes.routing));
    return { ...made, decideBy };
  });
  const final =
    pin === null && conversation !== null ? await claimed(gateway, incoming, conversation, decision, ttlMs) : decision;
  gateway.exploration.note(final);
  const chosen = final.ranked[0]!;
  const targets = gateway.targets(final, bound);
  return {
    record: recordOf(gateway, incoming, session, {
      routed: true,
      model: final.model,
      reason: final.reason,
      propensity: final.propensity,
      explored: final.explored,
      floor: final.floor,
      distribution: final.ranked.map(({ model }, i) => ({ model, probability: final.distribution[i]! })),
      ranked: [...final.ranked],
      filtered: [...final.filtered],
      facts: {
        ...final.facts,
        ...(arm !== null && { trialUnit: arm.unit }),
        ...(incoming.softLimit != null && { softLimit: incoming.softLimit }),
      },
      difficulty: final.difficulty,
      outOfDomain: final.outOfDomain,
      artifact: final.artifact,
      encoderId: final.encoderId,
      embedding: team.privacy === 'facts' ? null : final.embedding,
      priceDate: gateway.setup.models.priceDateOf(final.model),
      baselineModel: gateway.baseline.id,
      baselineCostUsd: null,
      routerMs,
      observed: null,
      explorable: final.explorable,
      trial: arm?.trial ?? null,
      arm: arm?.arm ?? null,
      armProbability: arm?.armProbability ?? null,
      ...auditDraw(gateway, caller, final.facts),
    }),
    targets: heldBy === undefined ? pinnedFirst(gateway, targets, pin) : heldAmongTargets(heldBy, surface, targets),
    expected: { inputTokens: final.facts.inputTokens, outputTokens: chosen.outputTokens },
    alias: auto.alias,
    conversation,
    decideBy,
  };
}

/** Where something is held, only models that can go on with it. @throws FieldError where there is none */
function withinReach<T extends Pick<RouteOptions, 'allowed'>>(
  gateway: Gateway,
  { heldBy, surface }: Pick<Incoming, 'heldBy' | 'surface'>,
  options: T,
  candidates: readonly string[],
  caller: Caller,
): T {
  if (heldBy === undefined) return options;
  const canGoOn = (id: string) => {
    const { models } = gateway.setup;
    if (models.isOutOfReach(id, caller)) return false;
    const { targets } = models.resolve(id, { ...caller, models: undefined });
    return heldAmongTargets(heldBy, surface, targets).length > 0;
  };
  const allowed = (options.allowed ?? candidates).filter(canGoOn);
  if (allowed.length === 0) throw heldElsewhere(heldBy, 'the models that may be chosen');
  return { ...options, allowed };
}

/** Uniform in [0, 1), the same for all turns of a conversation and on every replica: the conversation is what is randomised. */
function drawOf(tenant: string, conversation: string): number {
  const digest = createHash('sha256').update(`${tenant}\n${conversation}`).digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}

/** @param name as the client wrote it: a key may name an alias of auto. @throws `FORBIDDEN_MODEL` */
export function refuseAuto({ models }: Caller, name: string): void {
  if (models !== undefined && !isAmong('auto', models) && !isAmong(name, models)) {
    throw new RoutingError('FORBIDDEN_MODEL', `this key may not use auto; its models are ${models.join(', ')}`);
  }
}

function sessionOptions(
  pin: Pin | null,
  json: unknown,
  shape: SurfaceName,
  sticky: boolean,
  heldBy: Incoming['heldBy'],
): Pick<RouteOptions, 'session'> {
  if (heldBy?.model != null) {
    return { session: { incumbent: heldBy.model, prefixTokens: 0, locked: 'held_object', sticky } };
  }
  if (pin === null) return {};
  const facts = factsOf(json, shape);
  const locked = facts?.toolResults?.latest === true ? 'tool_loop' : null;
  const prefixTokens = cachedPrefix(pin, facts?.inputTokens ?? 0);
  return { session: { incumbent: pin.model, prefixTokens, locked, sticky } };
}

/** Two replicas that decide the first turn of one conversation at once agree on one model. */
async function claimed(
  gateway: Gateway,
  { caller }: Incoming,
  conversation: string,
  decision: Decision,
  ttlMs: number,
): Promise<Decision> {
  const pin: Pin = { model: decision.model, deployment: null, prefixTokens: 0, updatedAt: new Date() };
  const inForce = await gateway.sessions.claim(caller.tenant, conversation, pin, ttlMs);
  const at = decision.ranked.findIndex(({ model }) => model === inForce.model);
  if (inForce.model === decision.model || at < 0) return decision;
  // The draw of the other replica stands for both: this one's own is not logged as if it had been acted upon.
  const first = decision.ranked[at]!;
  return {
    ...decision,
    model: first.model,
    reason: 'pinned',
    ranked: [first, ...decision.ranked.filter((candidate) => candidate !== first)],
    distribution: [1, ...decision.ranked.slice(1).map(() => 0)],
    propensity: 1,
    explored: false,
    explorable: false,
  };
}

/** The deployment that holds a conversation's prompt cache is asked first among those of the same model, unless it rests. */
function pinnedFirst({ breaker }: Gateway, targets: readonly Target[], pin: Pin | null): readonly Target[] {
  const at = targets.findIndex((t) => t.id === pin?.model && t.deployment === pin.deployment);
  if (at <= 0 || targets[0]!.id !== pin?.model || breaker.rests(targets[at]!)) return targets;
  return [targets[at]!, ...targets.filter((_, i) => i !== at)];
}

/** The client's own choice: written down, but nothing to learn a choice from. */
function named(gateway: Gateway, incoming: Incoming, session: SessionId): Exchange {
  const { json, caller, surface, heldBy } = incoming;
  const model: Named = gateway.setup.models.resolve(json.model, caller);
  const all = gateway.healthyFirst(model.targets);
  const targets = heldBy === undefined ? all : heldAmongTargets(heldBy, surface, all);
  if (heldBy !== undefined && targets.length === 0) throw heldElsewhere(heldBy, model.id);
  const facts = factsOf(json, surface);
  return {
    record: recordOf(gateway, incoming, session, {
      ...undecided(gateway, model.id),
      routed: false,
      reason: 'requested',
      facts: facts ?? {},
    }),
    targets,
    expected: { inputTokens: facts?.inputTokens ?? 0, outputTokens: 0 },
    alias: model.alias,
    conversation: null,
    decideBy: null,
  };
}

/** What a decision that the router did not make says of it. */
export const undecided = (gateway: Gateway, model: string) => ({
  model,
  propensity: 1,
  explored: false,
  explorable: false,
  floor: 0,
  distribution: [{ model, probability: 1 }],
  ranked: [],
  filtered: [],
  difficulty: null,
  outOfDomain: null,
  artifact: null,
  encoderId: null,
  embedding: null,
  priceDate: gateway.setup.models.priceDateOf(model),
  baselineModel: null,
  baselineCostUsd: null,
  routerMs: null,
  observed: null,
});

function common(gateway: Gateway, { request, json, tags, caller, surface, hits }: Incoming, session: SessionId) {
  const user = endUserIn(json);
  const endUser = user === null ? null : gateway.endUsers.hash(caller.tenant, user);
  return {
    id: request.id,
    createdAt: new Date(),
    tenant: caller.tenant,
    key: caller.name,
    surface,
    tags: [...tags],
    // A person is no conversation: questions of one are as many draws.
    session: user !== null && session.told === user ? null : session.told,
    requestedModel: json.model,
    endUser,
    keyId: caller.keyId,
    project: caller.project,
    policyVersion: caller.rules.version,
    guards: hits.length === 0 ? null : [...hits],
  };
}

/** What is known of a request when it is clear where it goes. */
type Decided = Omit<DecisionRecord, keyof ReturnType<typeof common> | 'executedModel'> & {
  readonly executedModel?: string;
};

/** One literal: of spreads in a row all but the first are copied field by field, which took longer than the rest of this file. */
function recordOf(
  gateway: Gateway,
  incoming: Incoming,
  session: SessionId,
  decided: Decided,
  // A field that is added to records is to be missed here.
): Required<DecisionRecord> {
  const asked = common(gateway, incoming, session);
  return {
    id: asked.id,
    createdAt: asked.createdAt,
    tenant: asked.tenant,
    key: asked.key,
    surface: asked.surface,
    tags: asked.tags,
    session: asked.session,
    requestedModel: asked.requestedModel,
    routed: decided.routed,
    model: decided.model,
    executedModel: decided.executedModel ?? null,
    reason: decided.reason,
    propensity: decided.propensity,
    explored: decided.explored,
    floor: decided.floor,
    distribution: decided.distribution,
    ranked: decided.ranked,
    filtered: decided.filtered,
    facts: decided.facts,
    difficulty: decided.difficulty,
    outOfDomain: decided.outOfDomain,
    artifact: decided.artifact,
    encoderId: decided.encoderId,
    embedding: decided.embedding,
    priceDate: decided.priceDate,
    baselineModel: decided.baselineModel,
    baselineCostUsd: decided.baselineCostUsd,
    routerMs: decided.routerMs,
    observed: decided.observed,
    explorable: decided.explorable ?? true,
    endUser: asked.endUser,
    trial: decided.trial ?? null,
    arm: decided.arm ?? null,
    armProbability: decided.armProbability ?? null,
    shadow: null,
    auditProbability: decided.auditProbability ?? null,
    audited: decided.audited ?? false,
    keyId: asked.keyId,
    project: asked.project,
    policyVersion: asked.policyVersion,
    guards: asked.guards,
    cached: decided.cached ?? false,
  };
}

/** Facts for the log; a request in a form that only its provider knows has none. */
function factsOf(json: unknown, shape: SurfaceName) {
  if (shape === 'embeddings') return null;
  try {
    return readRequest(json, shape).facts;
  } catch {
    return null;
  }
}
