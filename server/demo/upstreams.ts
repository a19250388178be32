/** Each of the demo's programs behind an OpenAI-compatible address of its own, on loopback. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { type Program, replyOf } from './programs.ts';

export interface Upstreams {
  /** Provider name → base URL, ending in `/v1`. */
  readonly baseUrls: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Starts one server a program, on free ports. */
export async function startUpstreams(programs: readonly Program[]): Promise<Upstreams> {
  const servers: Server[] = [];
  const baseUrls: Record<string, string> = {};
  for (const program of programs) {
    const server = createServer((request, response) => {
      answer(program, request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    servers.push(server);
    const provider = program.candidate.id.slice(0, program.candidate.id.indexOf('/'));
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

const Body = z.object({ messages: z.array(z.object({ role: z.string(), content: z.string() })).min(1) });

async function answer(program: Program, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST' || request.url !== '/v1/chat/completions') {
    send(response, 404, {
      error: { message: 'only POST /v1/chat/completions is here', type: 'invalid_request_error' },
    });
    return;
  }
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  let messages: { role: string; content: string }[];
  try {
    messages = Body.parse(JSON.parse(Buffer.concat(pieces).toString('utf8'))).messages;
  } catch {
    send(response, 400, { error: { message: 'messages: plain text is wanted', type: 'invalid_request_error' } });
    return;
  }
  const prompt = messages.findLast(({ role }) => role === 'user')?.content ?? '';
  const content = replyOf(program, prompt);
  const [promptTokens, completionTokens] = [tokensOf(messages.map((m) => m.content).join('\n')), tokensOf(content)];
  send(response, 200, {
    id: 'chatcmpl-demo',
    object: 'chat.completion',
    created: Math.floor(Date.now() / 1000),
    model: program.candidate.id.slice(program.candidate.id.indexOf('/') + 1),
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    },
  });
}

/** The usual estimate for English: four characters a token. */
const tokensOf = (text: string): number => Math.ceil(text.length / 4);

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
