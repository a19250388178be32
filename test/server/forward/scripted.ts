/** Providers that answer out of a script, without a network: each step sees the call and says what comes of it. */
import type { Candidate } from '../../../datasets/catalog/candidate.ts';
import { GatewayConfig } from '../../../server/config/index.ts';
import type { AttemptRecord } from '../../../server/db/records.ts';
import { Breaker } from '../../../server/forward/breaker.ts';
import type { Asked } from '../../../server/forward/exchange.ts';
import { forward, type OpenCall } from '../../../server/forward/forward.ts';
import { deploymentOf, type Target } from '../../../server/forward/target.ts';
import { NO_RULES } from '../../../server/governance/policies/rules.ts';
import { type ProtocolName, SURFACES, type SurfaceName } from '../../../server/protocols/index.ts';
import type { Credential, Provider, ProviderCall, ProviderReply } from '../../../server/providers/index.ts';
import { completion } from '../fakes.ts';

export type Step = (call: ProviderCall) => ProviderReply | Promise<ProviderReply>;

export interface Scripted extends Provider {
  /** Calls made, in order; `at` in ms of `performance.now()`. */
  readonly calls: { readonly call: ProviderCall; readonly at: number }[];
}

export function scripted(
  name: string,
  step: Step,
  { protocol = 'chat' as ProtocolName, credentials = [{ id: '', weight: 1 }] as Credential[] } = {},
): Scripted {
  const calls: Scripted['calls'] = [];
  return {
    name,
    sandbox: false,
    address: `http://${name}.test`,
    credentials,
    protocolFor: () => protocol,
    dialectOf: () => ({}),
    async call(call) {
      calls.push({ call, at: performance.now() });
      return await step(call);
    },
    close: async () => {},
    calls,
  };
}

export async function* bytes(...texts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield typeof text === 'string' ? Buffer.from(text) : text;
}

export const json = (value: unknown, status = 200, more: Partial<ProviderReply> = {}): ProviderReply => ({
  status,
  contentType: 'application/json',
  retryAfter: undefined,
  body: bytes(typeof value === 'string' ? value : JSON.stringify(value)),
  ...more,
});

export const stream = (...frames: (string | Uint8Array)[]): ProviderReply => ({
  status: 200,
  contentType: 'text/event-stream',
  retryAfter: undefined,
  body: bytes(...frames),
});

export const fine: Step = () => json(completion('fine'));
export const failing =
  (status: number, more: object = {}, reply: Partial<ProviderReply> = {}): Step =>
  () =>
    json({ error: { message: `status ${status}`, ...more } }, status, reply);

/** Never answers; lets go when it is hung up on. */
export const silent: Step = ({ signal }) =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

/** A connection that nobody takes. */
export const unreachable: Step = () => Promise.reject(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }));

/** Answers, but only after so long. */
export const after =
  (ms: number, step: Step): Step =>
  async (call) => {
    await Promise.race([new Promise((resolve) => setTimeout(resolve, ms)), silent(call)]);
    return await step(call);
  };

export const targetAt = (provider: Provider, model: string, candidate?: Candidate): Target[] =>
  provider.credentials.map((credential) => ({
    id: `${provider.name}/${model}`,
    upstreamModel: model,
    provider,
    credential,
    candidate,
    deployment: deploymentOf(provider, model, credential),
  }));

export function askedOf(more: object = {}, surfaceName: SurfaceName = 'chat', routed = true): Asked {
  const request = { model: 'auto', messages: [{ role: 'user', content: 'Say hello' }], ...more };
  const surface = SURFACES[surfaceName];
  return {
    surface,
    text: JSON.stringify(request),
    json: request,
    stream: 'stream' in more && more.stream === true,
    routed,
    conversation: () => surface.readRequest(request),
    headers: {},
    head: { id: 'a'.repeat(32), createdAt: new Date(0), request },
    media: { allowed: false, shared: false, fetch: () => Promise.reject(new Error('nothing is fetched here')) },
  };
}

export interface Run {
  readonly call: OpenCall | undefined;
  readonly error: (Error & { code?: string; blame?: string }) | undefined;
  /** Records of attempts that failed or were given up. */
  readonly failed: AttemptRecord[];
  readonly ms: number;
  readonly breaker: Breaker;
}

/** One request to these targets, and what came of it. */
export async function run(
  targets: readonly Target[],
  {
    config = {},
    asked = askedOf(),
    life = new AbortController().signal,
    breaker = new Breaker(),
  }: { config?: object; asked?: Asked; life?: AbortSignal; breaker?: Breaker } = {},
): Promise<Run> {
  const failed: AttemptRecord[] = [];
  const started = performance.now();
  const limits = GatewayConfig.parse(config);
  const request = { decisionId: 'd', asked, inputTokens: 10, life, rules: NO_RULES };
  const end = (rest: Pick<Run, 'call' | 'error'>): Run => ({
    ...rest,
    failed,
    breaker,
    ms: performance.now() - started,
  });
  return forward(targets, request, limits, (attempt) => failed.push(attempt), breaker).then(
    (call) => end({ call, error: undefined }),
    (error) => end({ call: undefined, error }),
  );
}

/** Times that tests can wait for. */
export const QUICK = { retries: 2, firstPauseMs: 1, longestPauseMs: 1000 };
