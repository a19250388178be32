/** Measures the sources of one {@link BoardJob} in a thread of its own; the results stay in the files of the run. */
import { parentPort, workerData } from 'node:worker_threads';
import { type BoardJob, runBoard, type WorkerReply } from './leaderboard-run.ts';

const reply = (message: WorkerReply) => parentPort!.postMessage(message);

try {
  await runBoard(workerData as BoardJob);
  reply({});
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  reply({ error: { code: code ?? 'INTERNAL', message } });
}
