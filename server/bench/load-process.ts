/** The load client's process: takes a job as a message, answers with what it measured, ends with its parent. */
import { type LoadJob, runLoad } from './load.ts';

process.on('message', (job: LoadJob) => {
  runLoad(job).then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.message }),
  );
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C goes to the whole group; the parent decides when to stop.
process.on('SIGINT', () => {});
