/**
 * The demo: a gateway, four local programs as its models, practice tasks through HTTP, feedback on
 * each answer, a retraining from the log, and the same fresh tasks before and after it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RoutingError } from '../../datasets/index.ts';
import { lockOwner } from '../db/lock.ts';
import type { RetrainReport } from '../learning/retrain.ts';
import { startGateway } from '../main.ts';
import { DemoClient, type Result } from './client.ts';
import { PROGRAMS } from './programs.ts';
import { makeTasks } from './tasks.ts';
import { startUpstreams } from './upstreams.ts';

export interface DemoOptions {
  /** Tasks asked with feedback, to learn from. */
  readonly practice: number;
  /** Other tasks, asked before and after the retraining, never judged. */
  readonly fresh: number;
  readonly seed: number;
}

export interface DemoOutcome {
  readonly options: DemoOptions;
  readonly url: string;
  /** Every program asked all fresh tasks by name, cheapest first: always-cheapest … always-best. */
  readonly single: readonly { readonly model: string; readonly about: string; readonly results: readonly Result[] }[];
  readonly before: readonly Result[];
  readonly practice: readonly Result[];
  readonly retrain: RetrainReport;
  readonly after: readonly Result[];
  /** Content hashes of the artifacts that decided before and after. */
  readonly artifacts: readonly [string, string];
  readonly seconds: number;
}

/**
 * Wider than the shipped policy on both counts: there is little time to learn, and only what lies within
 * twice the tolerance of the best is explored. The exploration goes on while the result is measured.
 */
const POLICY = { tolerance: 0.15, exploration: 0.25 };

/** How long a promoted router may take to decide. */
const SWAP_WAIT_MS = 15_000;

/** @param say told what happens, for people */
export async function runDemo(
  options: DemoOptions,
  say: (step: string, done?: number, of?: number) => void,
  stop: AbortSignal,
): Promise<DemoOutcome> {
  const started = performance.now();
  const dataDir = await mkdtemp(join(tmpdir(), 'pointsman-demo-'));
  const closers: (() => Promise<void>)[] = [() => rm(dataDir, { recursive: true, force: true })];
  try {
    say('starting four local programs and the gateway');
    const upstreams = await startUpstreams(PROGRAMS);
    closers.push(() => upstreams.close());
    const catalog = join(dataDir, 'catalog.json');
    const today = new Date().toISOString().slice(0, 10);
    await writeFile(catalog, JSON.stringify({ priceDate: today, models: PROGRAMS.map((p) => p.candidate) }));
    // An environment of its own: keys and ports that are set for real work stay out of it.
    const gateway = await startGateway({
      file: false,
      env: {},
      overrides: {
        port: 0,
        dataDir: join(dataDir, 'data'),
        catalog,
        policy: POLICY,
        providers: Object.fromEntries(Object.entries(upstreams.baseUrls).map(([name, baseUrl]) => [name, { baseUrl }])),
        logLevel: 'silent',
      },
    });
    closers.push(() => gateway.close());
    const client = new DemoClient(gateway.url, stop);

    const tasks = makeTasks(options.practice + options.fresh, options.seed);
    const practice = tasks.slice(0, options.practice);
    const fresh = tasks.slice(options.practice);
    const ask = (what: string, model: string, list: typeof tasks, judge: boolean) =>
      client.askAll(model, list, judge, (done) => say(what, done, list.length));

    const single = [];
    for (const { candidate, about } of PROGRAMS) {
      const results = await ask(`asking ${candidate.id} everything, to compare with`, candidate.id, fresh, false);
      single.push({ model: candidate.id, about, results });
    }
    const before = await ask('fresh tasks to the router as shipped', 'auto', fresh, false);
    const practised = await ask('practice tasks, every answer checked and fed back', 'auto', practice, true);

    say('retraining from the log');
    const old = await client.artifact();
    const retrain = await retrainOver(gateway.url, join(dataDir, 'data'), stop);
    if (retrain.outcome === 'promoted') {
      say('waiting for the running gateway to take the new router up');
      await until(async () => (await client.artifact()) !== old, SWAP_WAIT_MS);
    }
    const after = await ask('the same fresh tasks to the retrained router', 'auto', fresh, false);
    return {
      options,
      url: gateway.url,
      single,
      before,
      practice: practised,
      retrain,
      after,
      artifacts: [old, await client.artifact()],
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** As `pointsman retrain` does it while a gateway runs. */
async function retrainOver(url: string, dataDir: string, signal: AbortSignal): Promise<RetrainReport> {
  const reply = await fetch(`${url}/admin/retrain`, {
    method: 'POST',
    headers: { authorization: `Bearer ${lockOwner(dataDir)?.token}`, 'content-type': 'application/json' },
    body: '{}',
    signal,
  });
  const body = (await reply.json()) as RetrainReport & { error?: { message: string } };
  if (!reply.ok) throw new RoutingError('INTERNAL', `the retraining failed: ${body.error?.message ?? reply.status}`);
  return body;
}

async function until(holds: () => Promise<boolean>, withinMs: number): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > end) {
      throw new RoutingError('INTERNAL', `the gateway did not take the promoted router up within ${withinMs / 1000} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
