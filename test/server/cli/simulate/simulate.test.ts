import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runGate } from '../../../../server/cli/simulate/gate.ts';
import { gateWorld } from '../../../../server/cli/simulate/gate-worlds.ts';
import { SIMULATIONS, simulate, simulateIn } from '../../../../server/cli/simulate/run.ts';
import { driftWatch } from '../../../../server/cli/simulate/watch.ts';
import { simulateCommand } from '../../../../server/cli/simulate.ts';
import { smallWorld, trueBeliefs } from '../../../eval/simulate/small-world.ts';

const dir = mkdtempSync(join(tmpdir(), 'pointsman-simulate-'));
afterAll(() => rmSync(dir, { recursive: true }));

const world = smallWorld(600, 1);
const rows = world.part.table.prompts.map((_, i) => i);

test('the candidate of a gate world is as much better, or worse, as it is said to be', () => {
  const believed = trueBeliefs(world);
  const flat = { ...believed, quality: new Float32Array(believed.quality.length).fill(0.5) };
  const options = { incumbent: flat, better: believed, exploration: 0.3, models: 3, seed: 1 };
  for (const difference of [0.01, -0.02]) {
    const trial = gateWorld(world, rows, { ...options, difference })!;
    const [outcome] = runGate(trial, { decisions: 100, qualityPerUsd: world.qualityPerUsd, runs: 1, seed: 1 });
    const { truth } = outcome!;
    // One prompt of 600 more or less is at most 2/600 beyond.
    expect(Math.abs(truth - difference)).toBeLessThan(0.0034);
    expect(Math.sign(truth)).toBe(Math.sign(difference));
  }
  // Even perfect choices cannot bring what is not there.
  expect(gateWorld(world, rows, { ...options, difference: 0.9 })).toBeNull();
});

test('the drift monitor takes off what a model has lost, and nothing from one that has not', () => {
  const watch = driftWatch();
  for (let at = 0; at < 400; at++) {
    watch.judged('steady', 0.8, at % 5 === 0 ? 0 : 1, at);
    // Right four times in five as forecast, then two times in five.
    watch.judged('fallen', 0.8, at < 200 ? (at % 5 === 0 ? 0 : 1) : at % 5 < 2 ? 1 : 0, at);
  }
  const shifts = watch.shifts();
  expect([...shifts.keys()]).toEqual(['fallen']);
  expect(shifts.get('fallen')!).toBeLessThan(-0.2);
});

test('simulations run in a world that is there, and say which target is which', () => {
  const targets = simulateIn(world, { only: ['change', 'missing'], seeds: 1, runs: 3, seed: 1, onProgress: () => {} });
  expect(targets.map(({ simulation }) => simulation)).toEqual(['change', 'change', 'change', 'missing', 'missing']);
  for (const { found, runs } of targets) {
    if (runs > 0) expect(found.value).not.toBeNull();
  }
});

test('a source that is not among the folders is named', async () => {
  const options = { only: ['missing' as const], seeds: 1, runs: 1, seed: 1, onProgress: () => {} };
  await expect(simulate([], { ...options, sources: ['nowhere'] })).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
    message: expect.stringContaining('--source nowhere'),
  });
});

test('a folder that is not there, or holds no outcomes, is refused with what is wanted', async () => {
  const run = (...args: string[]) => simulateCommand().exitOverride().parseAsync(args, { from: 'user' });
  await expect(run('--data', join(dir, 'nowhere'))).rejects.toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/) });
  writeFileSync(join(dir, 'notes.txt'), 'nothing here');
  await expect(run('--data', dir)).rejects.toMatchObject({
    code: 'MISSING_FILE',
    message: expect.stringContaining('prompts.jsonl'),
  });
});

test('the help names every simulation', () => {
  let help = '';
  const command = simulateCommand()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        help += text;
      },
    });
  command.outputHelp();
  for (const [name, what] of Object.entries(SIMULATIONS)) {
    expect(help).toContain(name);
    expect(help).toContain(what);
  }
});
