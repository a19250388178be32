import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Dataset, type Outcome, type Prompt, seededRandom } from '../../../datasets/index.ts';
import {
  type RecordedTask,
  recordedChecker,
  recordedCostUsd,
  recordedWorld,
  startRecorded,
} from '../../../server/demo/recorded.ts';
import { programFile } from '../../run/shared.ts';

const PROGRAM = await programFile();
const MODELS = { 'acme/tiny': 0.1, 'acme/middle': 1, 'acme/huge': 10 } as const;
const SKILL: Record<string, number> = { 'acme/tiny': 0.4, 'acme/middle': 0.7, 'acme/huge': 0.95 };

/** Prompts of two each to a group; on every tenth one the middle model was not tried. */
function recordedData(n: number): Dataset {
  const random = seededRandom(7);
  const prompts: Prompt[] = [];
  const outcomes: Outcome[] = [];
  for (let i = 0; i < n; i++) {
    prompts.push({
      id: `r${i}`,
      source: 'recorded',
      benchmark: i % 3 === 0 ? 'sums' : 'letters',
      text: `Question number ${i}: what is ${i} times ${i + 1}, and how many letters has the answer in words?`,
      groupId: `recorded-${Math.floor(i / 2)}`,
    });
    for (const modelId of Object.keys(MODELS)) {
      if (modelId === 'acme/middle' && i % 10 === 0) continue;
      outcomes.push({
        promptId: `r${i}`,
        modelId,
        quality: random() < SKILL[modelId]! ? 1 : 0.25,
        outputTokens: 10 + (i % 5),
      });
    }
  }
  const models = Object.fromEntries(
    Object.entries(MODELS).map(([id, usd]) => [id, { inputUsdPerMTok: usd, outputUsdPerMTok: 4 * usd }]),
  );
  return { name: 'recorded-data', prompts, outcomes, models };
}

const router = {
  seen: ({ groupId }: { groupId: string }) => Number(groupId.split('-')[1]) < 20,
  modelIds: ['acme/huge', 'known/small'],
  priced: [
    { like: 'known/small', outputUsdPerMTok: 0.5 },
    { like: 'acme/huge', outputUsdPerMTok: 40 },
  ],
};
const OPTIONS = { practice: 100, fresh: 40, models: 6, seed: 1 };

describe('recorded outcomes as a world to route in', () => {
  const data = recordedData(240);
  const world = recordedWorld(data, router, OPTIONS);

  test('no group is both practised on and fresh, and none that the router has learned from is fresh', () => {
    const groupOf = new Map(data.prompts.map((p) => [p.id, p.groupId]));
    const groups = (tasks: readonly RecordedTask[]) => new Set(tasks.map((t) => groupOf.get(t.id)!));
    const [practice, fresh] = [groups(world.practice), groups(world.fresh)];
    expect([world.practice.length, world.fresh.length]).toEqual([100, 40]);
    expect([...fresh].filter((g) => practice.has(g) || router.seen({ groupId: g }))).toEqual([]);
    expect(world.seen).toBe(40);
    // What not every model was tried on cannot be asked of all of them.
    expect([...world.practice, ...world.fresh].filter((t) => Number(t.id.slice(1)) % 10 === 0)).toEqual([]);
  });

  test('the catalog has the prices of the data, cheapest first, and stand-ins for models the router does not know', () => {
    expect(world.candidates.map((c) => [c.id, c.like, c.inputUsdPerMTok, c.outputUsdPerMTok])).toEqual([
      ['recorded/acme/tiny', 'known/small', 0.1, 0.4],
      ['recorded/acme/middle', 'known/small', 1, 4],
      ['recorded/acme/huge', 'acme/huge', 10, 40],
    ]);
    expect(world.likened).toEqual({ 'acme/tiny': 'known/small', 'acme/middle': 'known/small' });
    expect(world.candidates[world.best]!.id).toBe('recorded/acme/huge');
  });

  test('an upstream answers as long as the recorded model did, and knows nothing else', async () => {
    const upstreams = await startRecorded(world);
    try {
      const ask = async (model: string, content: string) =>
        fetch(`${upstreams.baseUrls.recorded}/chat/completions`, {
          method: 'POST',
          body: JSON.stringify({ model, messages: [{ role: 'user', content }] }),
        });
      const task = world.fresh[0]!;
      const reply = (await (await ask('acme/huge', task.prompt)).json()) as {
        choices: { message: { content: string } }[];
        usage: { prompt_tokens: number; completion_tokens: number };
      };
      expect(reply.usage).toMatchObject({
        prompt_tokens: Math.ceil(task.prompt.length / 4),
        completion_tokens: 10 + (Number(task.id.slice(1)) % 5),
      });
      expect(reply.choices[0]!.message.content).toContain('Recorded answer of acme/huge');
      expect((await ask('acme/huge', 'Never asked.')).status).toBe(404);
      expect((await ask('acme/nobody', task.prompt)).status).toBe(404);
      // 10 USD a million in, 40 out.
      const usd = (reply.usage.prompt_tokens * 10 + reply.usage.completion_tokens * 40) / 1e6;
      expect(recordedCostUsd(world.candidates[2]!, task, 2)).toBeCloseTo(usd, 12);
      expect(recordedChecker(world).score(task, '', 'recorded/acme/huge')).toBe(task.quality[2]);
    } finally {
      await upstreams.close();
    }
  });

  test('keeps the ends of the hull where fewer models are asked for', () => {
    const two = recordedWorld(data, router, { ...OPTIONS, models: 2 });
    expect(two.candidates.map((c) => c.id)).toEqual(['recorded/acme/tiny', 'recorded/acme/huge']);
  });

  test.each([
    ['too few prompts', recordedData(40), /EMPTY_TABLE|practice prompts/],
    ['no list prices', { ...data, models: {} }, /without a price/],
    [
      'no texts',
      { ...data, prompts: data.prompts.map((p) => ({ ...p, text: '', embedding: new Float32Array(2) })) },
      /give data with texts/,
    ],
  ])('refuses %s with a reason', (_, wrong, message) => {
    expect(() => recordedWorld(wrong, router, OPTIONS)).toThrow(message);
  });

  test('refuses data of which the router has seen all', () => {
    expect(() => recordedWorld(data, { ...router, seen: () => true }, OPTIONS)).toThrow(
      /0 fresh prompts.*240 belong to groups that the router has learned from/,
    );
  });
});

describe('pointsman demo --data', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'demo-data-'));
    const { prompts, outcomes, models } = recordedData(260);
    writeFileSync(join(dir, 'prompts.jsonl'), prompts.map((row) => JSON.stringify(row)).join('\n'));
    writeFileSync(join(dir, 'outcomes.jsonl'), [...outcomes].map((row) => JSON.stringify(row)).join('\n'));
    writeFileSync(join(dir, 'models.json'), JSON.stringify(models));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const demo = (...args: string[]) => {
    const tmp = mkdtempSync(join(tmpdir(), 'demo-tmp-'));
    try {
      const run = spawnSync(process.execPath, [PROGRAM, 'demo', ...args], {
        encoding: 'utf8',
        cwd: tmp,
        env: { ...process.env, TMPDIR: tmp },
        timeout: 150_000,
      });
      const leftBehind = readdirSync(tmp).filter((name) => !/^(tsx-|node-compile-cache)/.test(name));
      return { ...run, leftBehind };
    } finally {
      rmSync(tmp, { recursive: true, force: true });
    }
  };

  test('runs recorded models through the gateway, and leaves nothing behind', { timeout: 180_000 }, () => {
    const { status, stdout, stderr, leftBehind } = demo('--data', dir, '--practice', '120', '--fresh', '40', '--json');
    expect(status, stderr).toBe(0);
    const out = JSON.parse(stdout);
    expect(out).toMatchObject({ data: dir.slice(dir.lastIndexOf('/') + 1), practice: 120, fresh: 40 });
    expect(out.models).toEqual(['recorded/acme/tiny', 'recorded/acme/middle', 'recorded/acme/huge']);
    // What the gateway billed is what was recorded, at the prices of the data.
    expect(out.alwaysBest.usdPerThousand).toBeCloseTo(out.always['recorded/acme/huge'].usdPerThousand, 6);
    expect(out.alwaysBest.right).toBeCloseTo(out.always['recorded/acme/huge'].right, 9);
    expect(out.alwaysCheapest.usdPerThousand).toBeCloseTo(out.always['recorded/acme/tiny'].usdPerThousand, 6);
    expect(out.retrain.samples).toBe(120);
    expect(['promoted', 'refused']).toContain(out.retrain.outcome);
    expect(out.artifacts[0] === out.artifacts[1]).toBe(out.retrain.outcome === 'refused');
    for (const figures of [out.before, out.after]) {
      expect(figures.right).toBeGreaterThanOrEqual(0.25);
      expect(figures.usdPerThousand).toBeGreaterThan(0);
    }
    expect(leftBehind).toEqual([]);
  });

  test('refuses a folder that is not there before anything is started', () => {
    const { status, stderr } = demo('--data', join(dir, 'nowhere'));
    expect(status).toBe(2);
    expect(stderr).toContain('MISSING_FILE');
  });
});
