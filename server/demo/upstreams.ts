/** Local stand-ins for providers: each answers behind an OpenAI-compatible address of its own, on loopback. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { type Program, replyOf } from './programs.ts';

export interface Upstreams {
  /** Provider name → base URL, ending in `/v1`. */
  readonly baseUrls: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** What a stand-in says. */
export interface Reply {
  readonly content: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** @param model as the request names it. @returns null where there is nothing to say: a 404 */
export type Answerer = (model: string, messages: readonly Message[]) => Reply | null;
export type Message = z.infer<typeof Body>['messages'][number];

/** Starts one server a program, on free ports. */
export function startUpstreams(programs: readonly Program[]): Promise<Upstreams> {
  return startAnswerers(
    Object.fromEntries(
      programs.map((program): [string, Answerer] => [
        program.candidate.id.slice(0, program.candidate.id.indexOf('/')),
        (_model, messages) => {
          const content = replyOf(program, lastQuestion(messages));
          return {
            content,
            promptTokens: tokensOf(messages.map((m) => m.content).join('\n')),
            completionTokens: tokensOf(content),
          };
        },
      ]),
    ),
  );
}

/** Starts one server for each provider name, on free ports. */
export async function startAnswerers(answerers: Readonly<Record<string, Answerer>>): Promise<Upstreams> {
  const servers: Server[] = [];
  const baseUrls: Record<string, string> = {};
  for (const [provider, answerer] of Object.entries(answerers)) {
    const server = createServer((request, response) => {
      answer(answerer, request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    servers.push(server);
    baseUrls[provider] = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  }
  return {
    baseUrls,
    close: async () => {
      await Promise.all(
        servers.map((server) => {
          server.closeAllConnections();
          return new Promise<void>((resolve) => server.close(() => resolve()));
        }),
      );
    },
  };
}

export const lastQuestion = (messages: readonly Message[]): string =>
  messages.findLast(({ role }) => role === 'user')?.content ?? '';

const Body = z.object({
  model: z.string().default(''),
  messages: z.array(z.object({ role: z.string(), content: z.string() })).min(1),
});

async function answer(answerer: Answerer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST' || request.url !== '/v1/chat/completions') {
    send(response, 404, {
      error: { message: 'only POST /v1/chat/completions is here', type: 'invalid_request_error' },
    });
    return;
  }
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  let body: z.infer<typeof Body>;
  try {
    body = Body.parse(JSON.parse(Buffer.concat(pieces).toString('utf8')));
  } catch {
    send(response, 400, { error: { message: 'messages: plain text is wanted', type: 'invalid_request_error' } });
    return;
  }
  const reply = answerer(body.model, body.messages);
  if (reply === null) {
    send(response, 404, { error: { message: 'no answer to this was recorded', type: 'invalid_request_error' } });
    return;
  }
  send(response, 200, {
    id: 'chatcmpl-demo',
    object: 'chat.completion',
    created: Math.floor(Date.now() / 1000),
    model: body.model,
    choices: [{ index: 0, message: { role: 'assistant', content: reply.content }, finish_reason: 'stop' }],
    usage: {
      prompt_tokens: reply.promptTokens,
      completion_tokens: reply.completionTokens,
      total_tokens: reply.promptTokens + reply.completionTokens,
    },
  });
}

/** The usual estimate for English: four characters a token. */
export const tokensOf = (text: string): number => Math.ceil(text.length / 4);

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
