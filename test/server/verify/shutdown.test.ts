/** A gateway that is stopped finishes what it has begun to look at: the verdict is in the database afterwards. */

import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStore } from '../../../server/db/store.ts';
import { startGateway } from '../../../server/main.ts';
import { tempDir } from '../db/stores.ts';
import { completion, sendJson, upstream } from '../fakes.ts';

test('by a signal that comes while an endpoint thinks and another hangs', async () => {
  const folder = await tempDir();
  const host = await upstream((_, response) => sendJson(response, completion('Rome')));
  let asked = 0;
  let answerSlow = () => {};
  const judge = createServer(async (request, response) => {
    for await (const _ of request);
    asked++;
    if (request.url === '/slow') answerSlow = () => sendJson(response, { score: 0.5 });
  });
  await new Promise<void>((resolve) => judge.listen(0, '127.0.0.1', resolve));
  const at = `127.0.0.1:${(judge.address() as AddressInfo).port}`;
  const dataDir = join(folder, 'data');
  const gateway = await startGateway({
    env: { OPENAI_API_KEY: 'test-key', OPENAI_BASE_URL: host.url },
    overrides: {
      port: 0,
      dataDir,
      logLevel: 'silent',
      timeouts: { shutdownMs: 3000 },
      egress: { allow: [at], allowPrivate: true, timeoutMs: 60_000 },
      verifiers: [
        { kind: 'http', name: 'slow', url: `http://${at}/slow` },
        { kind: 'http', name: 'hangs', url: `http://${at}/hangs` },
      ],
    },
  });
  let id: string | null = null;
  try {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'auto', messages: [{ role: 'user', content: 'Capital of Italy?' }] }),
    });
    expect(response.status).toBe(200);
    await response.text();
    id = response.headers.get('x-pointsman-decision-id');
    while (asked < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    const closing = gateway.close();
    setTimeout(() => answerSlow(), 400);
    await closing;
    expect(gateway.gateway.afterwork.state).toMatchObject({ waiting: 0, atWork: 0, dropped: 1 });
  } finally {
    await gateway.close();
    judge.closeAllConnections();
    judge.close();
    await host.close();
  }
  const store = await openStore({ dataDir });
  const found = await store.getDecision(id!);
  await store.close();
  await rm(folder, { recursive: true, force: true });
  expect(found!.feedback).toMatchObject([
    { source: 'verifier:slow', score: 0.5, kind: 'verdict', weight: 1, tenant: 'default' },
  ]);
});
