/** A gateway with verifiers over one host that says what it is told to, and ways to ask it in three protocols. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import type { FeedbackRecord } from '../../../server/db/store.ts';
import {
  candidate,
  completion,
  gatewayOver,
  type MemoryStore,
  type Script,
  sendJson,
  sendStream,
  type TestGateway,
  type Upstream,
  until,
  upstream,
} from '../fakes.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});
export const atEnd = (cleanUp: () => Promise<void>): void => void cleanUps.push(cleanUp);

// $1 and $2 a million tokens for the cheap one, ten times that for the judge; 10 in and 5 out cost 20e-6 and 200e-6.
export const CHEAP = candidate('one/cheap', 1);
export const JUDGE = candidate('one/judge', 10);

export interface World {
  readonly gateway: TestGateway;
  readonly host: Upstream;
}

export async function world(script: Script, config: object = {}, models = [CHEAP, JUDGE]): Promise<World> {
  const host = await upstream(script);
  const gateway = await gatewayOver(models, { upstreams: { one: host.url }, config });
  atEnd(host.close);
  atEnd(gateway.close);
  return { gateway, host };
}

/** Says the same to everybody, streamed where that is asked for, in pieces of three characters. */
export const saying =
  (content: string): Script =>
  (_, response, { stream }) => {
    if (stream === true) sendStream(response, content.match(/[\s\S]{1,3}/g) ?? []);
    else sendJson(response, completion(content));
  };

export const PROTOCOLS = ['chat', 'responses', 'messages'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

const PATHS = { chat: '/v1/chat/completions', responses: '/v1/responses', messages: '/v1/messages' } as const;
const BODIES = {
  chat: (text: string) => ({ messages: [{ role: 'user', content: text }] }),
  responses: (text: string) => ({ input: text, store: false }),
  messages: (text: string) => ({ max_tokens: 500, messages: [{ role: 'user', content: text }] }),
} as const;

/** @returns the decision's id, when the whole answer has come */
export async function ask(
  { url }: TestGateway,
  protocol: Protocol,
  text: string,
  more: object = {},
  headers: Record<string, string> = {},
): Promise<string> {
  const response = await fetch(`${url}${PATHS[protocol]}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'auto', ...BODIES[protocol](text), ...more }),
  });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${body}`);
  return response.headers.get('x-pointsman-decision-id')!;
}

/** What verifiers and judges said; what is read off a client's next request is another matter. */
export const verdictsOf = ({ store }: Pick<TestGateway, 'store'>): FeedbackRecord[] =>
  (store as MemoryStore).feedback.filter(({ kind }) => kind !== 'hint');

/** Waits until everything that was to be looked at has been. */
export async function settled({ gateway }: TestGateway, looks: number): Promise<void> {
  const over = () => {
    const { waiting, atWork, done, failed, dropped } = gateway.afterwork.state;
    return waiting + atWork === 0 ? done + failed + dropped : 0;
  };
  await until(() => over() >= looks);
}

export interface Endpoint {
  readonly url: string;
  readonly bodies: Record<string, unknown>[];
  /** Options that let the gateway reach it. */
  readonly egress: object;
}

/** A verifier's endpoint; `undefined` hangs for ever. */
export async function endpoint(
  verdict: (body: Record<string, unknown>) => unknown,
  timeoutMs = 5000,
): Promise<Endpoint> {
  const bodies: Record<string, unknown>[] = [];
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = JSON.parse(Buffer.concat(pieces).toString()) as Record<string, unknown>;
    bodies.push(body);
    const said = verdict(body);
    if (said !== undefined) sendJson(response, said);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/judge`,
    bodies,
    egress: { allow: [`127.0.0.1:${port}`], allowPrivate: true, timeoutMs },
  };
}
