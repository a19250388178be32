/** Two providers, real servers on loopback: one that every request may go to, and one that a rule keeps a tag away from. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { anthropic } from '../../../../server/providers/anthropic.ts';
import { httpProvider } from '../../../../server/providers/http-provider.ts';
import { openai } from '../../../../server/providers/openai.ts';
import { openAiCompatibleKind } from '../../../../server/providers/openai-compatible.ts';
import { Transport } from '../../../../server/providers/transport.ts';
import { candidate, completion, fakeRouter, gatewayOver, sendJson, sendStream, type TestGateway } from '../../fakes.ts';
import { type Host, openAiHost, type Seen } from '../../passthrough-upstream.ts';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});
export const atEnd = (cleanUp: () => unknown): void => void cleanUps.push(cleanUp);

/** Requests of this key carry the tag that the rule is about; those of the other carry none. */
export const KEYS = { bound: 'key-that-is-bound-1', free: 'key-that-is-free-12' };
export type Who = keyof typeof KEYS;
const keys = [
  { name: 'bound', key: KEYS.bound, tenant: 'team', tags: ['secret'] },
  { name: 'free', key: KEYS.free, tenant: 'team' },
];

/** The rule of the matrix: what carries the tag stays at home. */
export const STAYS_HOME = `
version: 1
rules:
  - name: stays home
    when: { tags: [secret] }
    providers: { allow: [home] }
`;

const answersOf = (text: string) => (seen: Seen, response: Parameters<Host['script']>[1]) => {
  const { pathname } = new URL(seen.url, 'http://host');
  if (/\/chat\/completions$/.test(pathname)) {
    if (JSON.parse(seen.body.toString()).stream === true) sendStream(response, [text]);
    else sendJson(response, completion(text));
  } else if (/\/embeddings$/.test(pathname)) {
    const usage = { prompt_tokens: 1, total_tokens: 1 };
    sendJson(response, { object: 'list', data: [{ object: 'embedding', index: 0, embedding: [0.5] }], usage });
  } else if (/\/count_tokens$/.test(pathname)) sendJson(response, { input_tokens: 4711 });
  else if (/\/messages$/.test(pathname)) {
    const content = [{ type: 'text', text }];
    const usage = { input_tokens: 1, output_tokens: 1 };
    sendJson(response, {
      id: 'm',
      type: 'message',
      role: 'assistant',
      model: 'x',
      content,
      usage,
      stop_reason: 'end_turn',
    });
  } else if (/\/(audio|images|moderations)/.test(pathname)) sendJson(response, { text, data: [], results: [] });
  else return false;
  return true;
};

/** Answers nothing but errors. */
export const failing: Host['script'] = (_, response) => {
  sendJson(response, { error: { message: 'down', type: 'server_error' } }, 500);
  return true;
};

/** Ranked with the forbidden one first, so that it is called where nothing keeps it out. */
export const MODELS = [candidate('away/best', 1), candidate('home/good', 2), candidate('away/judge', 5)];

const speaking = (name: string, { url }: Host) => {
  // Beside chat what the other protocols need: stored responses, and Anthropic's counting of tokens.
  const kind = name === 'anth' ? anthropic : openai;
  const own = {
    ...openAiCompatibleKind(name),
    protocols: kind.protocols,
    ...(name === 'anth' && { headers: kind.headers }),
  };
  const keys = [{ id: '', weight: 1, key: 'provider-key' }];
  return httpProvider(own, { name, baseUrl: url, keys, transport: new Transport(), settings: {} });
};

export interface Houses {
  readonly gateway: TestGateway;
  readonly home: Host;
  readonly away: Host;
  /** What reached the forbidden one, by method and path. */
  readonly calls: () => string[];
}

export interface HousesOptions {
  readonly config?: object;
  readonly policy?: string | null;
  readonly models?: typeof MODELS;
}

export async function houses({
  config = {},
  policy = STAYS_HOME,
  models = MODELS,
}: HousesOptions = {}): Promise<Houses> {
  const [home, away] = await Promise.all([openAiHost('home'), openAiHost('away')]);
  atEnd(home.close);
  atEnd(away.close);
  home.script = answersOf('fine');
  away.script = answersOf('fine');
  const folder = mkdtempSync(join(tmpdir(), 'pointsman-policy-'));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'policy.yaml');
  if (policy !== null) writeFileSync(file, policy);
  const gateway = await gatewayOver(models, {
    holder: { current: fakeRouter(models) },
    // Anthropic's protocol at the forbidden house, too, under a name of its own.
    providers: new Map([
      ['home', speaking('home', home)],
      ['away', speaking('away', away)],
      ['anth', speaking('anth', away)],
    ]),
    config: { keys, ...(policy !== null && { policies: { file } }), retry: { retries: 0 }, ...config },
  });
  atEnd(gateway.close);
  await gateway.gateway.governance.policies.start();
  const calls = () => away.seen.map(({ method, url }) => `${method} ${url}`);
  return { gateway, home, away, calls };
}

export const post = (
  { url }: TestGateway,
  who: Who,
  path: string,
  body: object | FormData,
  headers: Record<string, string> = {},
): Promise<Response> => {
  const isForm = body instanceof FormData;
  return fetch(`${url}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${KEYS[who]}`,
      ...(!isForm && { 'content-type': 'application/json' }),
      ...headers,
    },
    body: isForm ? body : JSON.stringify(body),
  });
};

export const get = ({ url }: TestGateway, who: Who, path: string, method = 'GET'): Promise<Response> =>
  fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${KEYS[who]}` } });
