/** A process whose files cannot grow far (`ulimit -f`): records with the database away; prints what became of it as JSON. */
import { DatabaseError } from '../../../server/db/connection.ts';
import { Spool } from '../../../server/db/spool.ts';
import { Writer } from '../../../server/db/writer.ts';
import { aDecision } from './records.ts';

const problems: string[] = [];
const spool = new Spool(process.argv[2]!);
const writer = new Writer({
  spool,
  insert: async () => Promise.reject(new DatabaseError('connection refused')),
  onProblem: (message) => {
    if (/spool/.test(message)) problems.push(message);
  },
});
let saved = 0;
for (let i = 0; i < 20; i++) {
  writer.add([{ table: 'decisions', row: aDecision({ id: `d${i}` }) }]);
  await writer.saved();
  saved++;
}
const { state } = writer;
process.stdout.write(JSON.stringify({ saved, state, problems }));
process.exit(0);
