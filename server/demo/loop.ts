/**
 * The loop that every demo shows: a gateway over local upstreams, practice through HTTP, feedback on each answer, a
 * retraining from the log, and the same fresh prompts before and after it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Candidate, RoutingError } from '../../datasets/index.ts';
import { lockOwner } from '../db/lock.ts';
import type { RetrainReport } from '../learning/retrain.ts';
import { startGateway } from '../main.ts';
import { type Asked, type Checker, DemoClient, type Result } from './client.ts';
import type { Upstreams } from './upstreams.ts';

/** What is routed to whom. */
export interface LoopWorld<T extends Asked> {
  readonly candidates: readonly Candidate[];
  readonly start: () => Promise<Upstreams>;
  /** What {@link start} starts, for people. */
  readonly what: string;
  /** What is asked, for people: `tasks`, `prompts`. */
  readonly noun: string;
  readonly practice: readonly T[];
  readonly fresh: readonly T[];
  /** Candidates that are asked everything by name. */
  readonly named: readonly string[];
  readonly checker: Checker<T>;
}

export interface LoopOutcome<T extends Asked> {
  readonly url: string;
  /** Results of each candidate of `named`, in its order. */
  readonly single: readonly (readonly Result<T>[])[];
  readonly before: readonly Result<T>[];
  readonly practice: readonly Result<T>[];
  readonly retrain: RetrainReport;
  readonly after: readonly Result<T>[];
  /** Content hashes of the artifacts that decided before and after. */
  readonly artifacts: readonly [string, string];
  readonly seconds: number;
}

/** Told what happens, for people. */
export type Say = (step: string, done?: number, of?: number) => void;

/**
 * Wider than the shipped policy on both counts: there is little time to learn, and only what lies within
 * twice the tolerance of the best is explored. The exploration goes on while the result is measured.
 */
const POLICY = { tolerance: 0.15, exploration: 0.5 };

/** How long a promoted router may take to decide. */
const SWAP_WAIT_MS = 15_000;

export async function runLoop<T extends Asked>(
  world: LoopWorld<T>,
  say: Say,
  stop: AbortSignal,
): Promise<LoopOutcome<T>> {
  const started = performance.now();
  const { candidates, practice, fresh, noun } = world;
  const dataDir = await mkdtemp(join(tmpdir(), 'pointsman-demo-'));
  const closers: (() => Promise<void>)[] = [() => rm(dataDir, { recursive: true, force: true })];
  try {
    say(`starting ${world.what} and the gateway`);
    const upstreams = await world.start();
    closers.push(() => upstreams.close());
    const catalog = join(dataDir, 'catalog.json');
    const today = new Date().toISOString().slice(0, 10);
    await writeFile(catalog, JSON.stringify({ priceDate: today, models: candidates }));
    // An environment of its own: keys and ports that are set for real work stay out of it.
    const gateway = await startGateway({
      file: false,
      env: {},
      overrides: {
        port: 0,
        dataDir: join(dataDir, 'data'),
        catalog,
        policy: POLICY,
        // It would take models down that do worse than forecast before the retraining is asked: here that one thing is shown.
        drift: { enabled: false },
        // What the log cannot tell would be tried on a part of the requests, which takes longer than a demo.
        rollout: { trialOnInsufficient: false },
        providers: Object.fromEntries(Object.entries(upstreams.baseUrls).map(([name, baseUrl]) => [name, { baseUrl }])),
        logLevel: 'silent',
      },
    });
    closers.push(() => gateway.close());
    const client = new DemoClient(gateway.url, stop, world.checker);
    const ask = (what: string, model: string, list: readonly T[], judge: boolean) =>
      client.askAll(model, list, judge, (done) => say(what, done, list.length));

    const single: Result<T>[][] = [];
    for (const id of world.named) {
      single.push(await ask(`asking ${id} everything, to compare with`, id, fresh, false));
    }
    const before = await ask(`fresh ${noun} to the router as shipped`, 'auto', fresh, false);
    const practised = await ask(`practice ${noun}, every answer checked and fed back`, 'auto', practice, true);

    say('retraining from the log');
    const old = await client.artifact();
    const retrain = await retrainOver(gateway.url, join(dataDir, 'data'), stop);
    if (retrain.outcome === 'promoted') {
      say('waiting for the running gateway to take the new router up');
      await until(async () => (await client.artifact()) !== old, SWAP_WAIT_MS);
    }
    const after = await ask(`the same fresh ${noun} to the retrained router`, 'auto', fresh, false);
    return {
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
