/** Clients that send byte by byte to hold connections open are cut off, and others do not notice. */
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { candidate, chat, gatewayOver, hello, type TestGateway } from './fakes.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await gatewayOver([candidate('one/a')], { config: { timeouts: { headersMs: 1000, requestMs: 2000 } } });
});
afterAll(() => gateway.close());

const HEAD = 'POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n';

/** Sends a beginning, then a byte now and then. @returns what came back until the connection was closed */
async function drip(beginning: string, byte: string): Promise<string> {
  const { hostname, port } = new URL(gateway.url);
  const socket: Socket = connect(Number(port), hostname);
  let heard = '';
  socket.on('data', (piece) => {
    heard += piece;
  });
  socket.on('error', () => {});
  socket.write(beginning);
  const timer = setInterval(() => socket.write(byte), 50);
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  clearInterval(timer);
  return heard;
}

test('headers that never end are cut off with a word', async () => {
  expect(await drip(HEAD, 'x')).toMatch(/^HTTP\/1\.1 408 /);
});

test('a body that never ends is cut off with a word', async () => {
  expect(await drip(`${HEAD}content-length: 100000\r\n\r\n{"model"`, ' ')).toMatch(/^HTTP\/1\.1 408 /);
});

test('two hundred of them at once hold up nobody', async () => {
  const slow = Array.from({ length: 200 }, () => drip(HEAD, 'x'));
  const answer = await chat(gateway.url, hello('one/a'));
  expect(answer.status).not.toBe(408);
  expect(answer.status).not.toBe(503);
  for (const heard of await Promise.all(slow)) expect(heard).toMatch(/^HTTP\/1\.1 408 /);
});
