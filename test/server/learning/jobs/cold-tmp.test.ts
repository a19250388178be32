import { monitorEventLoopDelay } from 'node:perf_hooks';
import { test } from 'vitest';
import { startGateway } from '../../../../server/main.ts';
import { storeKinds } from '../../db/stores.ts';
test('measure', async () => {
  const opened = await storeKinds[1]!.open();
  const { databaseUrl, dataDir } = opened.options;
  for (let i = 0; i < 3; i++) {
    const t0 = performance.now();
    const g = await startGateway({ file: false, env: {}, overrides: { port: 0, logLevel: 'silent', databaseUrl, dataDir } as never });
    const listening = performance.now() - t0;
    const h = monitorEventLoopDelay({ resolution: 1 });
    h.enable();
    await new Promise((r) => setTimeout(r, 450));
    const before = h.max / 1e6;
    h.reset();
    await new Promise((r) => setTimeout(r, 3000));
    console.log({ i, listening, maxDelayBeforeMs: before, maxDelayWhileQueueStartsMs: h.max / 1e6 });
    const t1 = performance.now();
    await g.close();
    console.log('close', performance.now() - t1);
  }
  await opened.close();
}, 120000);
