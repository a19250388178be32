/**
 * What one request asks of the router: in its body (`routing`, OpenRouter's `plugins` and `models`), in headers
 * `x-pointsman-*`, or in the name it gives to `auto`. Ours alone, so none of it goes upstream. What does not fit
 * is refused; what fits can only narrow what the key allows.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN } from '../../datasets/plain-issues.ts';
import { Knobs } from '../../router/policy/policy.ts';
import type { RouteOptions } from '../../router/router.ts';
import { type Caller, isAmong } from '../callers.ts';
import { withoutMember } from '../forward/edit-json.ts';
import { isObject } from '../forward/usage.ts';
import type { Auto } from '../models.ts';
import { nearest } from '../nearest.ts';
import { FieldError } from './errors.ts';

const { minQuality, maxCostUsd, dial, target, budget } = Knobs.shape;

const Name = z.string().min(1).max(200);

/** The knobs of `router/policy/policy.ts` that a client may set, and what else it may say of a request. */
export const Routing = z.strictObject({
  minQuality: minQuality.unwrap().optional(),
  maxCostUsd: maxCostUsd.unwrap().optional(),
  dial: dial.unwrap().optional(),
  target: target.unwrap().optional(),
  budget: budget.unwrap().optional(),
  /** Nothing is left to chance. */
  critical: z.boolean().optional(),
  /** Only these may be chosen, `*` standing for anything. */
  models: z.array(Name).min(1).max(100).optional(),
  /** The conversation this belongs to. */
  session: Name.optional(),
  /** False: the first answer is given, whatever a check might say of it. */
  escalation: z.boolean().optional(),
  /** What the answer should be, for verifiers that compare; it is never written down and goes to no provider. */
  expected: z.string().min(1).max(10_000).optional(),
  /** For policies and reports; no text of the prompt. */
  tags: z.array(z.string().min(1).max(100)).max(20).optional(),
});
export type Routing = z.infer<typeof Routing>;

/** What is asked, from wherever it was said. */
export interface Wishes {
  readonly routing: Routing;
  /** More headers in the reply. */
  readonly explain: boolean;
  /** The request without what is ours. */
  readonly text: string;
}

/** @param auto null for a model that the client named: then OpenRouter's fields are its provider's business */
export function readWishes(
  text: string,
  json: Readonly<Record<string, unknown>>,
  headers: IncomingHttpHeaders,
  auto: Auto | null,
): Wishes {
  let bare = text;
  const said: Record<string, unknown> = {};
  if (auto?.dial !== undefined) said.dial = auto.dial;
  if (auto !== null) {
    const models = openRouterModels(json);
    if (models !== undefined) said.models = models;
    for (const field of ['plugins', 'models', 'route'])
      if (json[field] !== undefined) bare = withoutMember(bare, field);
  }
  if (json.routing !== undefined) {
    bare = withoutMember(bare, 'routing');
    const body = parse(json.routing, 'routing');
    // Two ways of setting the trade-off in one request: what is written out counts for more than a name.
    if (body.dial !== undefined || body.target !== undefined || body.budget !== undefined) delete said.dial;
    Object.assign(said, body);
  }
  const byHeader = headerKnobs(headers);
  if (byHeader.dial !== undefined || byHeader.budget !== undefined)
    for (const name of ['dial', 'target', 'budget']) delete said[name];
  return { routing: { ...said, ...byHeader }, explain: flag(headers, 'x-pointsman-explain') === true, text: bare };
}

/** The same of the parsed request. @param routed OpenRouter's fields are the gateway's own, too */
export function withoutOwn(
  json: Readonly<Record<string, unknown>>,
  routed: boolean,
): Readonly<Record<string, unknown>> {
  const { routing, ...rest } = json;
  if (!routed) return routing === undefined ? json : rest;
  const { plugins, models, route, ...bare } = rest;
  const isBare = [routing, plugins, models, route].every((own) => own === undefined);
  return isBare ? json : bare;
}

function parse(value: unknown, place: string): Routing {
  const parsed = Routing.safeParse(value, PLAIN);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
  const known =
    issue.code === 'unrecognized_keys'
      ? `no such knob; known: ${Object.keys(Routing.shape).join(', ')}`
      : issue.message;
  throw new FieldError([place, ...path].join('.'), known);
}

/** `plugins: [{id: "auto-router", allowed_models: […]}]`, and `models: […]`: what OpenRouter's clients send. */
function openRouterModels({ plugins, models }: Readonly<Record<string, unknown>>): string[] | undefined {
  const allowed: string[] = [];
  if (plugins !== undefined) {
    if (!Array.isArray(plugins)) throw new FieldError('plugins', 'must be a list');
    plugins.forEach((plugin: unknown, i) => {
      if (!isObject(plugin) || plugin.id !== 'auto-router') {
        throw new FieldError(`plugins.${i}.id`, 'only the plugin auto-router is known here');
      }
      if (plugin.allowed_models !== undefined)
        allowed.push(...names(plugin.allowed_models, `plugins.${i}.allowed_models`));
    });
  }
  if (models !== undefined) allowed.push(...names(models, 'models'));
  return allowed.length === 0 ? undefined : allowed;
}

function names(value: unknown, place: string): string[] {
  const parsed = Routing.shape.models.unwrap().safeParse(value, PLAIN);
  if (!parsed.success) throw new FieldError(place, 'must be a list of model ids');
  return parsed.data;
}

function headerKnobs(headers: IncomingHttpHeaders): Routing {
  const said: Record<string, unknown> = {};
  for (const name of Object.keys(headers)) {
    // A limit that is misspelt must not go unnoticed.
    if (!name.startsWith('x-pointsman-') || HEADERS.has(name)) continue;
    const guess = nearest(name, HEADERS);
    throw new FieldError(name, `no such knob${guess === undefined ? '' : `; did you mean ${guess}?`}`);
  }
  for (const [name, knob] of Object.entries(NUMBERS)) {
    const value = headers[name];
    if (value === undefined) continue;
    said[knob] = knobOf(name, knob, value === '' ? Number.NaN : Number(value));
  }
  for (const knob of ['critical', 'escalation'] as const) {
    const value = flag(headers, `x-pointsman-${knob}`);
    if (value !== undefined) said[knob] = value;
  }
  for (const [name, knob] of Object.entries(LISTS)) {
    const value = headers[name];
    if (value !== undefined)
      said[knob] = knobOf(
        name,
        knob,
        String(value)
          .split(',')
          .map((word) => word.trim()),
      );
  }
  const session = headers['x-pointsman-session'];
  if (session !== undefined) said.session = knobOf('x-pointsman-session', 'session', session);
  return said as Routing;
}

const NUMBERS = {
  'x-pointsman-dial': 'dial',
  'x-pointsman-min-quality': 'minQuality',
  'x-pointsman-max-cost-usd': 'maxCostUsd',
  'x-pointsman-budget': 'budget',
} as const;

const LISTS = { 'x-pointsman-models': 'models', 'x-pointsman-tags': 'tags' } as const;

const HEADERS: ReadonlySet<string> = new Set([
  ...Object.keys(NUMBERS),
  ...Object.keys(LISTS),
  ...['session', 'critical', 'escalation', 'explain', 'provider'].map((knob) => `x-pointsman-${knob}`),
]);

function knobOf(header: string, knob: keyof Routing, value: unknown): unknown {
  const parsed = Routing.safeParse({ [knob]: value }, PLAIN);
  if (parsed.success) return parsed.data[knob];
  throw new FieldError(header, parsed.error.issues[0]!.message);
}

function flag(headers: IncomingHttpHeaders, name: string): boolean | undefined {
  const value = headers[name];
  if (value === undefined) return undefined;
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  throw new FieldError(name, 'must be true or false');
}

/** What the router is asked, within what the key allows. @param candidates ids that could be chosen */
export function routeOptionsOf(
  routing: Routing = {},
  caller?: Pick<Caller, 'routing' | 'models'>,
  candidates: readonly string[] = [],
): Pick<RouteOptions, 'policy' | 'critical' | 'allowed'> {
  const { critical, models, session: _, tags: __, escalation: ___, expected: ____, ...knobs } = routing;
  const policy = narrowed(knobs, caller?.routing);
  const allowed = allowedOf(models, caller?.models, candidates);
  return {
    ...(Object.keys(policy).length > 0 && { policy: policy as NonNullable<RouteOptions['policy']> }),
    ...(critical !== undefined && { critical }),
    ...(allowed !== undefined && { allowed }),
  };
}

type Trade = Omit<Routing, 'critical' | 'models' | 'session' | 'tags' | 'escalation' | 'expected'>;

function narrowed(asked: Trade, bounds: Caller['routing']): Trade {
  if (bounds === undefined) return asked;
  const narrow: { -readonly [K in keyof Trade]: Trade[K] } = { ...asked };
  if (bounds.minQuality !== undefined) narrow.minQuality = Math.max(bounds.minQuality, asked.minQuality ?? 0);
  if (bounds.maxCostUsd != null)
    narrow.maxCostUsd = Math.min(bounds.maxCostUsd, asked.maxCostUsd ?? Number.POSITIVE_INFINITY);
  if (bounds.dial != null) {
    for (const knob of ['target', 'budget'] as const) {
      if (asked[knob] != null)
        throw new FieldError(`routing.${knob}`, 'this key sets the trade-off itself, by its dial');
    }
    narrow.dial = Math.min(bounds.dial, asked.dial ?? bounds.dial);
  }
  return narrow;
}

function allowedOf(
  asked: readonly string[] | undefined,
  ofKey: readonly string[] | undefined,
  candidates: readonly string[],
): string[] | undefined {
  for (const [i, name] of (asked ?? []).entries()) {
    if (name.includes('*') || candidates.includes(name)) continue;
    const guess = nearest(name, candidates);
    throw new FieldError(
      `routing.models.${i}`,
      `${name} is no candidate${guess === undefined ? '' : `; did you mean ${guess}?`}`,
    );
  }
  // A key that may use `auto` and names no models of its own may have any chosen; `auto*` names none.
  const own = ofKey?.filter(
    (pattern) =>
      (pattern.includes('/') || pattern.includes('*')) &&
      (!isAmong('auto', [pattern]) || candidates.some((id) => isAmong(id, [pattern]))),
  );
  if (asked === undefined && (own === undefined || own.length === 0)) return undefined;
  return candidates.filter(
    (id) => (asked === undefined || isAmong(id, asked)) && (own === undefined || own.length === 0 || isAmong(id, own)),
  );
}

/** Knobs in range may still contradict each other, or the router: that is the request's fault, not the operator's. */
export function blameRequest(error: unknown, routing: Routing): never {
  if (Object.keys(routing).length > 0 && error instanceof RoutingError && error.code === 'INVALID_CONFIG') {
    const [, place, message] = /^policy((?:\.[\w.]+)?): (.*)$/s.exec(error.message) ?? [];
    throw new FieldError(`routing${place ?? ''}`, message ?? error.message);
  }
  throw error;
}
