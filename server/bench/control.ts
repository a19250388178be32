/** `pointsman bench control`: what keys, policy and limits add to a request, each step by itself, on this thread. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { GATEWAY } from '../callers.ts';
import { accessOf } from '../governance/access/access.ts';
import { createKey } from '../governance/access/keys.ts';
import { createTeam } from '../governance/access/teams.ts';
import { startGateway } from '../main.ts';

export interface ControlBenchOptions {
  readonly requests: number;
  /** Client keys in the database. */
  readonly keys: number;
  /** Budgets and rates; three of them are about each request. */
  readonly limits: number;
  /** Rules of the policy; two of them are about each request. */
  readonly rules: number;
}

export interface ControlBench extends ControlBenchOptions {
  /** Microseconds a request. */
  readonly steps: readonly {
    readonly step: string;
    readonly p50: number;
    readonly p95: number;
    readonly p99: number;
  }[];
}

const STEPS = ['key', 'policy', 'rates and soft limits', 'budget set aside', 'settled'] as const;

export async function benchControl(options: ControlBenchOptions, say: (text: string) => void): Promise<ControlBench> {
  const folder = await mkdtemp(join(tmpdir(), 'pointsman-bench-'));
  try {
    await writeFile(join(folder, 'policy.yaml'), stringify(policyOf(options.rules)));
    await writeFile(join(folder, 'pointsman.yaml'), stringify(configOf(folder, options.limits)));
    const running = await startGateway({ file: join(folder, 'pointsman.yaml'), env: {} });
    try {
      const { gateway } = running;
      say(`making ${options.keys} keys`);
      const secrets: string[] = [];
      const by = { actor: GATEWAY, requestId: null };
      for (let i = 0; i < 10; i++) await createTeam(accessOf(gateway), { name: `team-${i}` }, by);
      for (let i = 0; i < options.keys; i++) {
        const key = { name: `key-${i}`, team: `team-${i % 10}`, tags: [`tag-${i % 5}`] };
        secrets.push((await createKey(accessOf(gateway), key, by)).secret);
      }
      say(`letting ${options.requests} requests in`);
      return { ...options, steps: await timed(gateway, secrets, options.requests) };
    } finally {
      await running.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function timed(
  { setup, governance, holder }: Awaited<ReturnType<typeof startGateway>>['gateway'],
  secrets: readonly string[],
  requests: number,
): Promise<ControlBench['steps']> {
  const times = [...STEPS, 'all'].map(() => new Float64Array(requests));
  const { id: model } = holder.current.candidates[0]!;
  const expected = {
    ...{ model, provider: model.split('/')[0]!, inputTokens: 200, outputTokens: 300 },
    ...{ mostOutputTokens: null, answers: 1 },
    price: holder.current.candidates[0]!,
  };
  const warmUp = Math.min(2000, requests);
  for (let i = -warmUp; i < requests; i++) {
    const headers = { authorization: `Bearer ${secrets[(i + warmUp) % secrets.length]}` };
    const asked = { surface: 'chat', requestedModel: 'auto', isAuto: true, chars: 800 };
    const at = [performance.now()];
    const known = setup.callers.identify(headers);
    at.push(performance.now());
    const tags = [...known.tags, 'sent'];
    const caller = governance.policies.govern({ caller: known, tags, surface: 'chat' });
    at.push(performance.now());
    const admission = governance.limits.admit({ ...asked, caller, tags });
    at.push(performance.now());
    const entrant = { ...asked, tags, caller: admission.caller, pending: admission.pending };
    const account = await governance.limits.reserve(entrant, expected);
    at.push(performance.now());
    account.close();
    at.push(performance.now());
    if (i < 0) continue;
    for (let step = 0; step < STEPS.length; step++) times[step]![i] = 1000 * (at[step + 1]! - at[step]!);
    times.at(-1)![i] = 1000 * (at.at(-1)! - at[0]!);
    // As requests come: others' work in between.
    if (i % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return [...STEPS, 'all'].map((step, k) => {
    const sorted = times[k]!.sort();
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
    return { step, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
  });
}

const configOf = (folder: string, limits: number) => ({
  port: 0,
  dataDir: join(folder, 'data'),
  logLevel: 'silent',
  auth: 'required',
  policies: { file: join(folder, 'policy.yaml') },
  limits: {
    budgets: [
      { name: 'all', usd: 1e6, period: 'month' },
      { name: 'team-by-team', team: '*', usd: 1e5, period: 'month' },
      ...Array.from({ length: Math.max(0, limits - 3) }, (_, i) => ({
        ...{ name: `other-${i}`, team: `another-${i}`, usd: 100, period: 'day' },
      })),
    ],
    rates: [{ name: 'per-key', key: '*', requestsPerMinute: 1e9, tokensPerMinute: 1e12 }],
  },
});

const policyOf = (rules: number) => ({
  version: 1,
  rules: [
    { name: 'no-hobby-hosts', when: {}, providers: { deny: ['hobby'] } },
    { name: 'sent', when: { tags: ['sent'] }, models: { deny: ['nobody/nothing'] } },
    ...Array.from({ length: Math.max(0, rules - 2) }, (_, i) => ({
      ...{ name: `other-${i}`, when: { teams: [`another-${i}`] }, models: { allow: ['openai/*'] } },
    })),
  ],
});
