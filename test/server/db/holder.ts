/** A process of its own that holds a data directory: `holder.ts DIR lock URL | store | busy`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { acquireLock } from '../../../server/db/lock.ts';
import { openStore } from '../../../server/db/store.ts';
import { aDecision } from './records.ts';

const [dataDir, what, url] = process.argv.slice(2) as [string, string, string | undefined];
const stay = () => setInterval(() => {}, 1000);

if (what === 'lock') {
  try {
    acquireLock(dataDir).announce(url!);
    stay();
    console.log('held');
  } catch (error) {
    console.log((error as { code: string }).code);
  }
} else {
  const store = await openStore({ dataDir });
  if (what === 'store') {
    store.record({ decision: aDecision({ id: 'from-the-holder' }) });
    await store.flush();
    stay();
    console.log('written');
  } else {
    let recorded = 0;
    const timer = setInterval(() => {
      for (let i = 0; i < 50; i++) store.record({ decision: aDecision({ id: `d${recorded++}` }) });
    }, 1);
    process.once('SIGTERM', async () => {
      clearInterval(timer);
      await store.close();
      writeFileSync(join(dataDir, 'recorded.txt'), String(recorded));
      process.exit(0);
    });
    console.log('busy');
  }
}
