/** Examples of a policy document, tried: what the rules make of each request, against what it says. Pure but for guardrails, which may take a thread. */
import type { FastifyBaseLogger } from 'fastify';
import type { RoutingError } from '../../../datasets/index.ts';
import { ANYBODY } from '../../callers.ts';
import type { GuardHit } from '../../db/records.ts';
import type { SurfaceName } from '../../protocols/index.ts';
import { Guards } from '../guards/guards.ts';
import { type CompiledPolicy, compilePolicy } from './compile.ts';
import type { ExamplePlace, ExampleRequest, PolicyDocument, PolicyExample } from './document.ts';
import type { Known } from './known.ts';
import type { Place, Refusal, Rules } from './rules.ts';

/** One thing that an example says. */
export interface Checked {
  /** E.g. `denied openai/gpt-6`. */
  readonly what: string;
  readonly ok: boolean;
  /** What is so instead, and why. Empty where it is as said. */
  readonly found: string;
}

export interface ExampleResult {
  readonly name: string;
  readonly ok: boolean;
  readonly checks: readonly Checked[];
  /** Rules that apply. */
  readonly applied: readonly string[];
}

/** In the document's order. Never rejects. */
export async function runExamples(document: PolicyDocument, known: Known): Promise<ExampleResult[]> {
  if (document.examples.length === 0) return [];
  const policy = compilePolicy(document, 0);
  const guards = new Guards();
  try {
    const results: ExampleResult[] = [];
    // In turn: guardrails of all of them at once would only wait for each other.
    for (const example of document.examples) results.push(await run(example, { policy, known, guards }));
    return results;
  } finally {
    await guards.stop();
  }
}

/** A line for each example that fails. */
export const failuresOf = (results: readonly ExampleResult[]): string[] =>
  results
    .filter(({ ok }) => !ok)
    .map(({ name, checks }) => {
      const wrong = checks.filter(({ ok }) => !ok).map(({ what, found }) => `expected ${what}, but ${found}`);
      return `“${name}”: ${wrong.join(', ')}`;
    });

/** The rules for an example's request. */
export const rulesOf = (policy: CompiledPolicy, request: ExampleRequest): Rules =>
  policy.rulesFor({
    team: request.team,
    project: request.project ?? null,
    key: request.key ?? null,
    tags: request.tags,
    added: request.clientTags,
    surface: request.surface,
  });

interface Means {
  readonly policy: CompiledPolicy;
  readonly known: Known;
  readonly guards: Guards;
}

async function run({ name, request, expect }: PolicyExample, { policy, known, guards }: Means): Promise<ExampleResult> {
  const rules = rulesOf(policy, request);
  const checks: Checked[] = [];
  const check = (what: string, ok: boolean, found: string) => checks.push({ what, ok, found: ok ? '' : found });
  for (const wanted of ['allowed', 'denied'] as const) {
    for (const place of expect[wanted] ?? []) {
      const refusal = refusalAt(rules, placesOf(place, known));
      const found = refusal === null ? 'no rule keeps it out' : inWords(refusal);
      check(`${wanted} ${nameOf(place)}`, (refusal === null) === (wanted === 'allowed'), found);
    }
  }
  if (expect.refused !== undefined) {
    const refusal = refusalOfRequest(rules, request, known);
    const found = refusal === null ? `${request.model} can be called` : inWords(refusal);
    check(expect.refused ? 'refused' : 'not refused', (refusal !== null) === expect.refused, found);
  }
  const flag = (what: string, wanted: boolean | undefined, is: boolean) => {
    if (wanted !== undefined) check(`${what}: ${wanted}`, is === wanted, `it is ${is}`);
  };
  flag('explores', expect.explores, rules.explores);
  flag('softLimits', expect.softLimits, rules.softens);
  for (const wanted of ['allowed', 'denied'] as const) {
    for (const verifier of expect.verifiers?.[wanted] ?? []) {
      const isAllowed = rules.allowsVerifier(verifier);
      const found = isAllowed ? 'it may be told' : 'it may not be told';
      check(`verifier ${verifier} ${wanted}`, isAllowed === (wanted === 'allowed'), found);
    }
  }
  if (expect.cacheSeconds !== undefined) {
    const seconds = rules.cache?.ttlSeconds ?? 0;
    check(`cacheSeconds: ${expect.cacheSeconds}`, seconds === expect.cacheSeconds, `it is ${seconds}`);
  }
  if (expect.rules !== undefined) {
    const [wanted, is] = [expect.rules, rules.applied].map((names) => [...names].sort().join(', ') || 'none') as [
      string,
      string,
    ];
    check(`rules ${wanted}`, wanted === is, `these apply: ${is}`);
  }
  if (expect.guards !== undefined) {
    const hits = await hitsOf(rules, request, guards);
    for (const [what, wanted] of Object.entries(expect.guards)) {
      const done = hits.filter(({ guard, found }) => guard === what || found === what).map(({ action }) => action);
      const ok = wanted === 'passed' ? done.length === 0 : done.includes(wanted);
      check(
        `${what}: ${wanted}`,
        ok,
        done.length === 0 ? 'nothing was found' : `it was ${[...new Set(done)].join(' and ')}`,
      );
    }
  }
  return { name, ok: checks.every(({ ok }) => ok), checks, applied: rules.applied };
}

const nameOf = (place: ExamplePlace): string => {
  if (typeof place === 'string') return place;
  const { model, provider, region } = place;
  return `${model}${provider === undefined ? '' : ` at ${provider}`}${region === undefined ? '' : ` in ${region}`}`;
};

function placesOf(place: ExamplePlace, known: Known): Place[] {
  if (typeof place === 'string') return known.placesOf(place);
  const { model, provider, region } = place;
  const own = known.placesOf(model);
  const found = provider === undefined ? own : own.filter((one) => one.provider === provider);
  const places = found.length > 0 ? found : [{ model, provider: provider!, region: null }];
  return places.map((one) => ({ ...one, region: region ?? one.region }));
}

/** Null: one of the places at least may be called. */
function refusalAt(rules: Rules, places: readonly Place[]): Refusal | null {
  const refusals = places.map((place) => rules.refusalOf(place));
  return refusals.includes(null) ? null : (refusals[0] ?? null);
}

/** The models that a request could be answered by are all refused. */
function refusalOfRequest(rules: Rules, { model }: ExampleRequest, known: Known): Refusal | null {
  const isAuto = model === 'auto' || model.startsWith('auto:');
  const models = isAuto ? known.candidates : [model];
  const refusals = models.map((id) => refusalAt(rules, known.placesOf(id)));
  return refusals.includes(null) ? null : (refusals[0] ?? null);
}

const inWords = ({ rule, about }: Refusal): string => `rule ${rule} keeps it out by its ${about}`;

const SURFACES: ReadonlySet<string> = new Set(['chat', 'responses', 'messages', 'embeddings']);

/** What guardrails find in a request whose only turn is the example's text. */
async function hitsOf(rules: Rules, request: ExampleRequest, guards: Guards): Promise<readonly GuardHit[]> {
  const content = request.text ?? '';
  const json = bodyOf(request.surface, content);
  const surface = (SURFACES.has(request.surface) ? request.surface : 'chat') as SurfaceName;
  const caller = { ...ANYBODY, tenant: request.team, rules };
  try {
    const { hits } = await guards.before({ caller, surface, json, text: JSON.stringify(json), log: SILENT });
    return hits;
  } catch (error) {
    const { code, hits } = error as RoutingError & { readonly hits?: readonly GuardHit[] };
    if (code === 'GUARDRAIL_BLOCKED' && hits !== undefined) return hits;
    throw error;
  }
}

function bodyOf(surface: string, text: string): Readonly<Record<string, unknown>> & { readonly model: string } {
  const model = 'auto';
  if (surface === 'responses' || surface === 'embeddings') return { model, input: text };
  const messages = [{ role: 'user', content: text }];
  return surface === 'messages' ? { model, messages, max_tokens: 100 } : { model, messages };
}

/** Examples are no requests: nobody is to hear of what was found in them. */
const SILENT = Object.fromEntries(
  ['info', 'warn', 'error', 'debug', 'trace', 'fatal', 'silent'].map((level) => [level, () => undefined]),
) as unknown as FastifyBaseLogger;
