/** Stand-ins for what the gateway leans on: a router that ranks as told, a store in memory, upstreams that misbehave. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Candidate, Catalog } from '../../datasets/catalog/candidate.ts';
import { RoutingError } from '../../datasets/index.ts';
import { type Decision, NoCandidate } from '../../router/decision.ts';
import { Policy } from '../../router/policy/policy.ts';
import { readRequest } from '../../router/request.ts';
import type { Router } from '../../router/router.ts';
import { type AppOptions, buildApp, type GatewayApp } from '../../server/app.ts';
import { GatewayConfig } from '../../server/config/index.ts';
import type { AttemptRecord, DecisionRecord, FeedbackRecord, Store } from '../../server/db/store.ts';
import { httpProvider } from '../../server/providers/http-provider.ts';
import type { Provider } from '../../server/providers/index.ts';
import { openAiCompatibleKind } from '../../server/providers/openai-compatible.ts';
import { Transport } from '../../server/providers/transport.ts';

export function candidate(id: string, usdPerMTok = 1, more: Partial<Candidate> = {}): Candidate {
  return {
    id,
    inputUsdPerMTok: usdPerMTok,
    outputUsdPerMTok: usdPerMTok * 2,
    contextTokens: 100_000,
    inputModalities: ['text'],
    tools: true,
    structuredOutput: true,
    reasoning: false,
    ...more,
  };
}

export const catalogOf = (models: readonly Candidate[]): Catalog => ({ priceDate: '2026-11-01', models: [...models] });

const UNCERTIFIED = { holds: false, reason: 'no certificate' };

/** Ranks the candidates in the order given; expects 100 tokens of each answer. */
export function fakeRouter(candidates: readonly Candidate[], name = 'fake'): Router {
  return {
    artifactHash: name,
    encoderId: 'fake-encoder',
    candidates,
    unknown: [],
    policy: Policy.parse({ tolerance: 0.02 }),
    certificate: () => UNCERTIFIED,
    async close() {},
    async route(request, options) {
      const { facts } = readRequest(request);
      const unhealthy = candidates.filter(({ id }) => options?.unhealthy?.includes(id));
      const fits = candidates.filter(
        (c) =>
          facts.inputTokens <= c.contextTokens && !unhealthy.includes(c) && (options?.allowed?.includes(c.id) ?? true),
      );
      if (fits.length === 0) {
        const reason = (id: string) => (unhealthy.some((c) => c.id === id) ? 'unhealthy' : 'context_too_small');
        const filtered = candidates.map(({ id }) => ({ model: id, reason: reason(id) }) as const);
        throw new NoCandidate('no candidate is left', filtered, 'messages');
      }
      return {
        model: fits[0]!.id,
        reason: 'cheapest_adequate',
        ranked: fits.map(({ id, inputUsdPerMTok, outputUsdPerMTok }, i) => ({
          model: id,
          like: id,
          quality: 0.9 - i / 100,
          qualitySd: 0.05,
          outputTokens: 100,
          costUsd: (facts.inputTokens * inputUsdPerMTok + 100 * outputUsdPerMTok) / 1e6,
          adequate: true,
        })),
        filtered: [
          ...(options?.limited ?? []).map((id) => ({ model: id, reason: 'limit' as const })),
          ...unhealthy.map(({ id }) => ({ model: id, reason: 'unhealthy' as const })),
        ],
        distribution: fits.map((_, i) => (i === 0 ? 1 : 0)),
        propensity: 1,
        explored: false,
        explorable: false,
        mix: [{ tolerance: 0.02, share: 1 }],
        certificate: UNCERTIFIED,
        floor: 0.5,
        outOfDomain: 0.1,
        difficulty: -0.25,
        facts,
        artifact: name,
        encoderId: 'fake-encoder',
        embedding: Float32Array.of(0.5, -0.25),
      } satisfies Decision;
    },
  };
}

export interface MemoryStore extends Store {
  readonly decisions: DecisionRecord[];
  readonly attempts: AttemptRecord[];
  readonly feedback: FeedbackRecord[];
  /** Set to make reads fail, as with the database away. */
  away: boolean;
}

export function memoryStore(): MemoryStore {
  const store: MemoryStore = {
    decisions: [],
    attempts: [],
    feedback: [],
    away: false,
    record({ decision, attempt, feedback }) {
      if (decision) store.decisions.push(structuredClone(decision));
      if (attempt) store.attempts.push(attempt);
      if (feedback) store.feedback.push(feedback);
    },
    flush: async () => {},
    saved: async () => {},
    async getDecision(id) {
      if (store.away) throw new RoutingError('DATABASE_UNAVAILABLE', 'the database is away');
      const decision = store.decisions.find((row) => row.id === id);
      if (decision === undefined) return null;
      const ofIt = <T extends { decisionId: string }>(rows: readonly T[]) =>
        rows.filter((row) => row.decisionId === id);
      return { decision, attempts: ofIt(store.attempts), feedback: ofIt(store.feedback) };
    },
    ready: async () => !store.away,
    close: async () => {},
  };
  return store;
}

export interface Upstream {
  readonly url: string;
  /** Bodies received, in order. */
  readonly requests: { readonly headers: IncomingMessage['headers']; readonly url: string; readonly body: string }[];
  close(): Promise<void>;
}

export type Script = (
  request: IncomingMessage,
  response: ServerResponse,
  body: Record<string, unknown> & { model: string; stream?: boolean },
) => void | Promise<void>;

/** A provider on loopback that does as it is told. */
export async function upstream(script: Script): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const requests: Upstream['requests'] = [];
  const listener: RequestListener = async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces).toString();
    requests.push({ headers: request.headers, url: request.url ?? '', body });
    await script(request, response, JSON.parse(body));
  };
  const server = createServer(listener);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

export function completion(content = 'fine', usage: object | null = { prompt_tokens: 10, completion_tokens: 5 }) {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'what-the-host-calls-it',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    ...(usage && { usage }),
  };
}

export const sendJson = (response: ServerResponse, value: unknown, status = 200): void => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(typeof value === 'string' ? value : JSON.stringify(value));
};

export const startSse = (response: ServerResponse): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
};

export const chunk = (fields: object): string =>
  `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'its-name', ...fields })}\n\n`;

export const word = (content: string, finish: string | null = null): string =>
  chunk({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] });

export const usageChunk = (prompt: number, output: number): string =>
  chunk({ choices: [], usage: { prompt_tokens: prompt, completion_tokens: output, total_tokens: prompt + output } });

/** A well-behaved stream of these words. */
export function sendStream(response: ServerResponse, words: readonly string[], wantsUsage = true): void {
  startSse(response);
  response.write(chunk({ choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] }));
  for (const each of words) response.write(word(each));
  response.write(chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }));
  if (wantsUsage) response.write(usageChunk(10, words.length));
  response.end('data: [DONE]\n\n');
}

export const provider = (name: string, baseUrl: string, key = 'test-key', from?: string): Provider =>
  httpProvider(openAiCompatibleKind(name), {
    baseUrl,
    keys: [{ id: '', weight: 1, key, from }],
    transport: new Transport(),
  });

/** What a gateway wrote, in order, and the store it wrote to. */
export interface Watched {
  readonly store: Store;
  readonly decisions: DecisionRecord[];
  readonly attempts: AttemptRecord[];
}

function watched(store: Store): Watched {
  const decisions: DecisionRecord[] = [];
  const attempts: AttemptRecord[] = [];
  const record: Store['record'] = (entry) => {
    if (entry.decision) decisions.push(structuredClone(entry.decision));
    if (entry.attempt) attempts.push(entry.attempt);
    store.record(entry);
  };
  const spy: Store = Object.assign(Object.create(store), { record });
  return { store: spy, decisions, attempts };
}

export interface TestGateway extends GatewayApp, Watched {
  readonly url: string;
  close(): Promise<void>;
}

type Setup = Partial<Omit<AppOptions, 'config'>> & {
  readonly config?: Parameters<typeof GatewayConfig.parse>[0];
  /** Name → base URL. */
  readonly upstreams?: Readonly<Record<string, string>>;
};

/** A gateway that listens on a free port, over the models given. */
export async function gatewayOver(models: readonly Candidate[], setup: Setup = {}): Promise<TestGateway> {
  const written = watched(setup.store ?? memoryStore());
  const providers =
    setup.providers ??
    new Map(Object.entries(setup.upstreams ?? {}).map(([name, url]) => [name, provider(name, url)] as const));
  const built = buildApp({
    holder: { current: fakeRouter(models) },
    catalog: catalogOf(models),
    ...setup,
    store: written.store,
    providers,
    config: GatewayConfig.parse({ logLevel: 'silent', ...(setup.config as object) }),
  });
  const url = await built.app.listen({ host: '127.0.0.1', port: 0 });
  return {
    ...built,
    ...written,
    url,
    async close() {
      built.app.server.closeAllConnections();
      await built.app.close();
      await built.gateway.close();
    },
  };
}

export const chat = (url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

export const hello = (model: string, more: object = {}) => ({
  model,
  messages: [{ role: 'user', content: 'Say hello' }],
  ...more,
});

/** A reply's JSON, for tests to look into. */
// biome-ignore lint/suspicious/noExplicitAny: its shape is what the test is about to check
export const jsonOf = async (response: Response | Promise<Response>): Promise<any> => (await response).json();

/** Polls; what does not come is told before the test's own time is up. */
export async function until(condition: () => boolean, ms = 50_000): Promise<void> {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
