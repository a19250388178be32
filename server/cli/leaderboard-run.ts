/** Runs a leader board over folders; what is measured is kept in files, so threads and later runs share it. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { threadId } from 'node:worker_threads';
import { type Dataset, type ErrorCode, RoutingError, readDataset } from '../../datasets/index.ts';
import type { MeasureStore } from '../../eval/leaderboard/in-domain.ts';
import { groupsSha256 } from '../../eval/leaderboard/pool.ts';
import { type LeaderBoard, leaderBoard, type TaskName } from '../../eval/leaderboard/rank.ts';
import { OURS, ZOO, type ZooName } from '../../router/estimators/index.ts';
import { quotes, readTexts } from '../../router/training/read-texts.ts';
import { trainWordVectors, type WordVectors } from '../../router/training/word-vectors.ts';
import { readWordVectors, writeWordVectors } from '../../router/training/word-vectors-file.ts';
import { startWorker } from '../db/start-worker.ts';

/** Everything a run depends on but the data and the code; can be sent to a thread. */
export interface BoardJob {
  readonly dirs: readonly string[];
  /** Plain texts to learn each source's word vectors from; empty: the shipped vectors. */
  readonly texts: readonly string[];
  readonly out: string;
  readonly methods: readonly ZooName[];
  readonly tasks: readonly TaskName[];
  /** Names of folders to rank on; empty: all. */
  readonly sources: readonly string[];
  readonly splits: number;
  readonly fewSplits: number;
  readonly draws: number;
  readonly labels: number;
  readonly seed: number;
  readonly replicates: number;
  /** {@link codeHash}, taken once: threads start at other moments. */
  readonly code: string;
  /** When the run began, ms since 1970: progress lines count from it. */
  readonly started: number;
}

export async function runBoard(job: BoardJob): Promise<LeaderBoard> {
  // At once: a thread that is busy for minutes would keep a stream's lines to itself.
  const say = (message: string) => {
    writeSync(2, `${((Date.now() - job.started) / 1000).toFixed(0).padStart(5)} s  ${message}\n`);
  };
  const datasets: Dataset[] = [];
  for (const dir of job.dirs) datasets.push(await readDataset(dir));
  const unknown = job.sources.find((name) => datasets.every((d) => d.name !== name));
  if (unknown !== undefined) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `--source ${unknown}: not among the folders given (${datasets.map((d) => d.name).join(', ')})`,
    );
  }
  return leaderBoard(
    datasets,
    {
      ...job,
      methods: Object.fromEntries(job.methods.map((name) => [name, ZOO[name]])),
      ours: OURS,
      onProgress: say,
      store: folderStore(join(job.out, 'measured'), job.code),
      ...(job.texts.length > 0 && { vectorsOf: (source) => vectorsWithout(source, job, say) }),
    },
    job.sources.length > 0 ? job.sources : undefined,
  );
}

/** Word vectors of texts without those that quote a prompt of the source, kept in a file from run to run. */
function vectorsWithout(source: Dataset, { texts, out, seed, code }: BoardJob, say: (message: string) => void) {
  let done: Promise<WordVectors> | undefined;
  const learn = async (): Promise<WordVectors> => {
    const key = createHash('sha256')
      .update(`${code}|${seed}|${groupsSha256(source.prompts)}`)
      .digest('hex')
      .slice(0, 24);
    const path = join(out, 'measured', `${source.name}-${key}.bin`);
    if (existsSync(path)) return readWordVectors(path);
    say(`${source.name}: word vectors from texts that do not quote its prompts`);
    const isOwn = quotes(source.prompts);
    const left = async function* (): AsyncGenerator<string> {
      for await (const text of readTexts(texts)) if (!isOwn(text)) yield text;
    };
    mkdirSync(join(out, 'measured'), { recursive: true });
    writeWordVectors(path, await trainWordVectors(left, { seed }));
    return readWordVectors(path);
  };
  return {
    vectors: () => {
      done ??= learn();
      return done;
    },
    from: 'word vectors from texts that do not quote its prompts',
  };
}

export interface WorkerReply {
  readonly error?: { readonly code: string; readonly message: string };
}

/** Measures source by source in threads, the largest first, and leaves the results in the files of the run. */
export async function measureInThreads(job: BoardJob, threads: number): Promise<void> {
  const names = job.dirs.map((dir) => basename(resolve(dir)));
  const waiting = job.sources.length > 0 ? [...job.sources] : names;
  const size = (name: string) => {
    const dir = job.dirs[names.indexOf(name)];
    const file = ['outcomes.jsonl.gz', 'outcomes.jsonl'].map((f) => join(dir ?? '', f)).find(existsSync);
    return file === undefined ? 0 : readFileSync(file).length;
  };
  waiting.sort((a, b) => size(b) - size(a));
  const one = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const { error } = await inThread({ ...job, sources: [name] });
      if (error) {
        waiting.length = 0;
        throw new RoutingError(error.code as ErrorCode, error.message);
      }
    }
  };
  if (waiting.length < 2) return;
  await Promise.all(Array.from({ length: Math.min(threads, waiting.length) }, one));
}

const inThread = (job: BoardJob): Promise<WorkerReply> =>
  new Promise((done, failed) => {
    const worker = startWorker(import.meta.url, './leaderboard-worker', { workerData: job });
    worker.once('message', done);
    worker.once('error', failed);
    worker.once('exit', (code) => failed(new RoutingError('INTERNAL', `a thread ended with code ${code}`)));
  });

/** Measures as files, named by what they depend on and by the code that made them. */
function folderStore(dir: string, code: string): MeasureStore {
  const path = (key: string) =>
    join(dir, `${createHash('sha256').update(`${code}|${key}`).digest('hex').slice(0, 24)}.json`);
  return {
    get: (key) => (existsSync(path(key)) ? JSON.parse(readFileSync(path(key), 'utf8')) : undefined),
    set: (key, measure) => {
      mkdirSync(dir, { recursive: true });
      // Whole or not at all: a run may be broken off at any moment.
      const partial = `${path(key)}.${process.pid}-${threadId}.part`;
      writeFileSync(partial, JSON.stringify(measure));
      renameSync(partial, path(key));
    },
  };
}

/** Of everything a measure is worked out by: what another version measured does not count. @param texts files */
export function codeHash(texts: readonly string[] = []): string {
  const hash = createHash('sha256');
  for (const path of texts) hash.update(readFileSync(path));
  const root = fileURLToPath(new URL('../../', import.meta.url));
  for (const folder of ['datasets', 'router', 'eval']) {
    const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((name) => /\.[jt]s$/.test(name)).sort()) {
      hash.update(file).update(readFileSync(join(root, folder, file)));
    }
  }
  return hash.digest('hex');
}
