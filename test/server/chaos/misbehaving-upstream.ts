/** A provider that answers some requests well and ruins the others in every way we know of, by a seed. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deriveSeed, seededRandom } from '../../../datasets/index.ts';

/** A call as the upstream saw it. */
export interface Call {
  /** The host's name and the model that were called, `host/model`. */
  readonly model: string;
  readonly behaviour: string;
  /** True when what was sent is a proper answer. */
  readonly proper: boolean;
}

export interface MisbehavingUpstream {
  /** @param host name of the provider that it stands for */
  url(host: string): string;
  /** Calls by the token of the request that they were made for, in order. */
  readonly calls: ReadonlyMap<string, readonly Call[]>;
  /** Calls that are neither answered nor given up. */
  readonly open: number;
  /** From now on every call is answered properly, after so many ms. */
  behave(delayMs: number): void;
  close(): Promise<void>;
}

/** What the right answer to a request is: nobody can guess it, and no other request has the same. */
export const answerFor = (token: string): string =>
  createHash('sha256').update(`answer to ${token}`).digest('hex').slice(0, 24);

/** A prompt in which the upstream finds the token again. */
export const promptFor = (token: string): string => `Please look up the record <${token}> and tell me its code.`;

interface Exchange {
  readonly response: ServerResponse;
  readonly stream: boolean;
  readonly wantsUsage: boolean;
  /** The right answer. */
  readonly answer: string;
  /** In [0, 1): decides details, the same for the same seed. */
  readonly dice: number;
  /** Runs later, unless the caller has left. */
  later(ms: number, then: () => void): void;
}

interface Behaviour {
  /** How often, relative to the others. */
  readonly weight: number;
  readonly proper?: boolean;
  act(exchange: Exchange): void;
}

const PIECE = /.{1,4}/g;
/** Larger than the gateway's `answerLimitMb` in these tests, which is 1. */
const HUGE_BYTES = 3 * 2 ** 20;

const frame = (fields: object): string =>
  `data: ${JSON.stringify({ id: 'chatcmpl-chaos', object: 'chat.completion.chunk', created: 1, model: 'chaos', ...fields })}\n\n`;
const word = (content: string) => frame({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });
const role = frame({ choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] });
const finish = frame({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
const usage = { prompt_tokens: 20, completion_tokens: 6, total_tokens: 26 };

const completion = (content: string) => ({
  id: 'chatcmpl-chaos',
  object: 'chat.completion',
  created: 1,
  model: 'chaos',
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
  usage,
});

const startSse = ({ response }: Exchange) => response.writeHead(200, { 'content-type': 'text/event-stream' });

/** The beginning of a stream: now and then only its head, else some of the answer's words. */
function begin(exchange: Exchange): void {
  startSse(exchange);
  exchange.response.write(role);
  const words = exchange.answer.match(PIECE)!.slice(0, Math.floor(exchange.dice * 4));
  for (const each of words) exchange.response.write(word(each));
}

function answerWell(exchange: Exchange, done = true): void {
  const { response, answer, stream, wantsUsage } = exchange;
  if (!stream) {
    json(response, 200, completion(answer));
    return;
  }
  startSse(exchange);
  response.write(role);
  for (const each of answer.match(PIECE)!) response.write(word(each));
  response.write(finish);
  if (wantsUsage) response.write(frame({ choices: [], usage }));
  response.end(done ? 'data: [DONE]\n\n' : '');
}

function json(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

const refusal = (message: string, type: string, code: string | null) => ({
  error: { message, type, code, param: null },
});

/** Announces a whole JSON answer and sends half of it. */
function halfJson({ response, answer }: Exchange): void {
  const text = JSON.stringify(completion(answer));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
  response.write(text.slice(0, text.length / 2));
}

/** Sends a proper answer's bytes one at a time. */
function drip(exchange: Exchange, everyMs: number): void {
  const { response, stream, answer } = exchange;
  if (stream) startSse(exchange);
  else response.writeHead(200, { 'content-type': 'application/json' });
  const text = stream ? role + word(answer) + finish : JSON.stringify(completion(answer));
  let at = 0;
  const next = () => {
    if (at >= text.length) response.end();
    else {
      response.write(text[at++]!);
      exchange.later(everyMs, next);
    }
  };
  next();
}

const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  proper: { weight: 50, proper: true, act: (e) => answerWell(e) },
  'proper, a little late': { weight: 6, proper: true, act: (e) => e.later(30 + e.dice * 100, () => answerWell(e)) },
  // A stream may end without `[DONE]` where it has said why it finished.
  'proper, without [DONE]': { weight: 2, proper: true, act: (e) => answerWell(e, false) },
  'status 500': { weight: 3, act: ({ response }) => json(response, 500, refusal('chaos broke', 'server_error', null)) },
  'status 429': {
    weight: 3,
    act: ({ response, dice }) =>
      json(response, 429, refusal('slow down', 'rate_limit_error', 'chaos_rate_limit'), {
        ...(dice < 0.5 && { 'retry-after': '0' }),
      }),
  },
  'status 529': {
    weight: 3,
    act: ({ response }) => json(response, 529, refusal('overloaded', 'overloaded_error', null)),
  },
  'status 503, a page': {
    weight: 2,
    act: ({ response }) => response.writeHead(503, { 'content-type': 'text/html' }).end('<h1>Service Unavailable</h1>'),
  },
  'status 400': {
    weight: 1,
    act: ({ response }) => json(response, 400, refusal('I refuse', 'invalid_request_error', 'chaos_refused')),
  },
  redirect: { weight: 1, act: ({ response }) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end() },
  'hangs before its head': { weight: 2, act: () => {} },
  'hangs after its head': {
    weight: 2,
    act(e) {
      if (e.stream) startSse(e).flushHeaders();
      else e.response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    },
  },
  'hangs in the middle': { weight: 2, act: (e) => (e.stream ? begin(e) : halfJson(e)) },
  'half a frame, then a broken line': {
    weight: 3,
    act(e) {
      if (e.stream) {
        begin(e);
        e.response.write('data: {"id":"chatcmpl-chaos","choi');
      } else halfJson(e);
      e.later(5, () => e.response.destroy());
    },
  },
  'half a frame, then an end': {
    weight: 2,
    act(e) {
      if (e.stream) {
        begin(e);
        e.response.end('data: {"id":"chatcmpl-chaos","choi');
      } else {
        e.response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"chatcmpl-chaos","choi');
      }
    },
  },
  'an end without a reason': {
    weight: 1,
    act(e) {
      begin(e);
      e.response.end();
    },
  },
  'garbage in place of HTTP': {
    weight: 2,
    act: ({ response }) => void response.socket?.end('\u0000\u0001 SSH-2.0-OpenSSH_9.6 \r\n\r\n garbage\r\n'),
  },
  'garbage in place of JSON': {
    weight: 3,
    act(e) {
      if (e.stream) {
        begin(e);
        e.response.end('data: <<<not json>>>\n\ndata: [DONE]\n\n');
      } else e.response.writeHead(200, { 'content-type': 'application/json' }).end('<<<not json>>>');
    },
  },
  'JSON of another kind': {
    weight: 1,
    act(e) {
      if (e.stream) {
        begin(e);
        e.response.end('data: [1,2,3]\n\ndata: [DONE]\n\n');
      } else json(e.response, 200, { choices: 'none', hello: ['world'] });
    },
  },
  'a huge frame': {
    weight: 1,
    act(e) {
      const huge = 'x'.repeat(HUGE_BYTES);
      if (e.stream) {
        begin(e);
        e.response.end(`data: ${huge}\n\ndata: [DONE]\n\n`);
      } else json(e.response, 200, completion(huge));
    },
  },
  'a wrong content type': {
    weight: 2,
    act: ({ response, stream, answer, dice }) =>
      stream && dice < 0.5
        ? json(response, 200, completion(answer))
        : response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Please log in</p>'),
  },
  'closes at once': { weight: 3, act: ({ response }) => void response.destroy() },
  'drips one byte a second': { weight: 1, act: (e) => drip(e, 1000) },
  'drips fast enough to seem alive': { weight: 1, act: (e) => drip(e, 100) },
  'an error with status 200': {
    weight: 2,
    act: (e) => json(e.response, 200, refusal('not today', 'server_error', null)),
  },
  'an error as first frame': {
    weight: 2,
    act(e) {
      if (!e.stream) return json(e.response, 500, refusal('chaos broke', 'server_error', null));
      startSse(e);
      e.response.end(`data: ${JSON.stringify(refusal('overloaded', 'overloaded_error', null))}\n\n`);
    },
  },
  'an error in mid-stream': {
    weight: 2,
    act(e) {
      if (!e.stream) return json(e.response, 502, refusal('chaos broke', 'server_error', null));
      begin(e);
      e.response.end(`data: ${JSON.stringify(refusal('gave up', 'server_error', null))}\n\n`);
    },
  },
  'nothing at all': {
    weight: 1,
    act(e) {
      if (e.stream) startSse(e).end();
      else e.response.writeHead(200, { 'content-type': 'application/json' }).end();
    },
  },
  'only [DONE]': {
    weight: 1,
    act(e) {
      if (e.stream) startSse(e).end('data: [DONE]\n\n');
      else json(e.response, 200, { ...completion(''), choices: [] });
    },
  },
};

const NAMES = Object.keys(BEHAVIOURS);
const TOTAL_WEIGHT = Object.values(BEHAVIOURS).reduce((sum, { weight }) => sum + weight, 0);

/** The same seed, token and number of the call: the same behaviour, in whatever order requests arrive. */
function draw(seed: number, token: string, nth: number): { name: string; dice: number } {
  const random = seededRandom(deriveSeed(seed, `${token} ${nth}`));
  let at = random() * TOTAL_WEIGHT;
  for (const name of NAMES) {
    at -= BEHAVIOURS[name]!.weight;
    if (at < 0) return { name, dice: random() };
  }
  return { name: 'proper', dice: random() };
}

export async function startMisbehavingUpstream(seed: number): Promise<MisbehavingUpstream> {
  const calls = new Map<string, Call[]>();
  const open = new Set<ServerResponse>();
  let delayMs: number | null = null;

  const onCall = (request: IncomingMessage, response: ServerResponse, body: string) => {
    const { model, stream, stream_options: options } = JSON.parse(body);
    const token = /<([\w-]+)>/.exec(body)?.[1] ?? 'no token';
    const before = calls.get(token) ?? [];
    const host = request.url!.split('/')[1]!;
    const drawn = delayMs === null ? draw(seed, token, before.length) : { name: 'proper', dice: 0 };
    const behaviour = BEHAVIOURS[drawn.name]!;
    calls.set(token, [
      ...before,
      { model: `${host}/${model}`, behaviour: drawn.name, proper: behaviour.proper === true },
    ]);
    open.add(response);
    let timer: NodeJS.Timeout | undefined;
    response.once('close', () => {
      open.delete(response);
      clearTimeout(timer);
    });
    const exchange: Exchange = {
      response,
      stream: stream === true,
      wantsUsage: options?.include_usage === true,
      answer: answerFor(token),
      dice: drawn.dice,
      later(ms, then) {
        if (!response.destroyed) timer = setTimeout(then, ms);
      },
    };
    if (delayMs === null) behaviour.act(exchange);
    else exchange.later(delayMs, () => behaviour.act(exchange));
  };

  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => onCall(request, response, Buffer.concat(pieces).toString()));
    request.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: (host) => `http://127.0.0.1:${port}/${host}/v1`,
    calls,
    get open() {
      return open.size;
    },
    behave(ms) {
      delayMs = ms;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
