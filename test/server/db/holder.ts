/** A process of its own that holds a data directory: `holder.ts DIR lock URL | store | busy | answer PREFIX | answer-away PREFIX`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseError } from '../../../server/db/connection.ts';
import { acquireLock } from '../../../server/db/lock.ts';
import type { Row } from '../../../server/db/rows.ts';
import { Spool } from '../../../server/db/spool.ts';
import { openStore } from '../../../server/db/store.ts';
import { Writer } from '../../../server/db/writer.ts';
import { aDecision, anAttempt, someFeedback } from './records.ts';

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
} else if (what === 'answer') {
  const store = await openStore({ dataDir });
  answerRequests(async (rows) => {
    for (const { table, row } of rows) {
      if (table === 'decisions') store.record({ decision: row });
      else if (table === 'attempts') store.record({ attempt: row });
      else if (table === 'feedback') store.record({ feedback: row });
      else store.record({ text: row });
    }
    await store.saved();
  });
} else if (what === 'answer-away') {
  const writer = new Writer({
    spool: new Spool(dataDir),
    insert: async () => Promise.reject(new DatabaseError('connection refused')),
  });
  answerRequests(async (rows) => {
    writer.add(rows);
    await writer.saved();
  });
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

/** As a gateway under load: several requests at once, each answered (a line on stdout) when its rows are saved. */
function answerRequests(save: (rows: Row[]) => Promise<void>): void {
  const lane = async (number: number) => {
    for (let i = 0; ; i++) {
      const id = `${url}-${number}-${i}`;
      await save([
        { table: 'decisions', row: aDecision({ id }) },
        { table: 'attempts', row: anAttempt({ id: `${id}-0`, decisionId: id }) },
        { table: 'feedback', row: someFeedback({ id: `${id}-f`, decisionId: id }) },
      ]);
      process.stdout.write(`${id}\n`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  for (let i = 0; i < 8; i++) void lane(i);
}
