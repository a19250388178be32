/** A Bedrock that is none: keeps what the AWS client sent, and answers with what a test gives it. */
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { EventStreamCodec } from '@smithy/eventstream-codec';

export interface Received {
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface FakeBedrock {
  readonly client: BedrockRuntimeClient;
  readonly origin: string;
  /** The last request. */
  received(): Received;
  answer(status: number, contentType: string, body: string | Uint8Array, headers?: Record<string, string>): void;
  close(): Promise<void>;
}

export const CREDENTIALS = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'made-up-secret',
  sessionToken: 'made-up-token',
};

/** Speaks HTTP/2, which is the AWS client's way to Bedrock. */
export async function fakeBedrock(): Promise<FakeBedrock> {
  let last: Received | undefined;
  let reply = { status: 200, headers: {} as Record<string, string>, body: '{}' as string | Uint8Array };
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      last = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
        body: Buffer.concat(pieces).toString(),
      };
      response.writeHead(reply.status, reply.headers).end(reply.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new BedrockRuntimeClient({
    region: 'eu-central-1',
    endpoint: origin,
    credentials: CREDENTIALS,
    maxAttempts: 1,
  });
  return {
    client,
    origin,
    received: () => {
      if (last === undefined) throw new Error('nothing was sent');
      return last;
    },
    answer: (status, contentType, body, headers = {}) => {
      reply = { status, headers: { 'content-type': contentType, ...headers }, body };
    },
    close: async () => {
      client.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString()),
  (text) => Buffer.from(text),
);

const named = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, { type: 'string' as const, value }]));

/** One message of AWS's event stream. */
export const message = (headers: Record<string, string>, body = ''): Uint8Array =>
  codec.encode({ headers: named(headers), body: Buffer.from(body) });

export const event = (type: string, body: object): Uint8Array =>
  message({ ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' }, JSON.stringify(body));

export const exception = (type: string, body: object): Uint8Array =>
  message(
    { ':exception-type': type, ':content-type': 'application/json', ':message-type': 'exception' },
    JSON.stringify(body),
  );
