/** What may not be trusted is said in red: in the terminal, in HTML, in Markdown and in JSON. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Dataset, hash32 } from '../../datasets/index.ts';
import { type EvaluateOptions, evaluate } from '../../eval/evaluate.ts';
import { flagsOf } from '../../eval/flags.ts';
import { htmlReport } from '../../eval/report/html.ts';
import { markdownReport } from '../../eval/report/markdown.ts';
import { textReport } from '../../eval/report/text.ts';
import type { Evaluation, FlagCode } from '../../eval/result.ts';
import { temporaryFolder } from '../router/fixtures.ts';
import { fakeSource, knowing, loading, noise, predictorOf, truth, world } from './fixtures.ts';

const run = (dataset: Dataset, source: Parameters<typeof fakeSource>[0], options: Partial<EvaluateOptions> = {}) =>
  evaluate(dataset, { load: loading(fakeSource(source)), replicates: 60, routers: ['default'], ...options });

function expectRed(e: Evaluation, code: FlagCode, words: RegExp): void {
  const flag = e.flags.find((f) => f.code === code);
  expect(flag).toMatchObject({ severity: 'red', message: expect.stringMatching(words) });
  expect(htmlReport(e)).toMatch(new RegExp(`class="warning red" data-code="${code}"`));
  expect(textReport(e).replaceAll(/\n\s*/g, ' ')).toMatch(new RegExp(`WARNING: .*${words.source}`));
  expect(markdownReport(e)).toMatch(/> \*\*🟥 Warning:\*\*.*/);
}

/** Outcomes by prompt and model, for routers that cheat. */
const outcomesOf = ({ outcomes }: Dataset) =>
  new Map([...outcomes].map((o) => [`${o.promptId} ${o.modelId}`, o.quality]));

describe('red flags', () => {
  test('a router that sees the outcomes', async () => {
    const dataset = world({ prompts: 600 });
    const outcomes = outcomesOf(dataset);
    const e = await run(dataset, { asItIs: (p, m) => 0.2 + 0.6 * outcomes.get(`${p.id} ${m}`)! });
    expectRed(e, 'LEAKY_ROUTER', /look for test outcomes/);
  });

  test('an honest router is not accused', async () => {
    const e = await run(world({ prompts: 600 }), {
      asItIs: (p, m) => 0.5 + 0.3 * (truth(p, m) - 0.5) + 0.2 * (noise(p, m) - 0.5),
    });
    expect(e.flags.map(({ code }) => code)).not.toContain('LEAKY_ROUTER');
  });

  test('near-duplicates on both sides of the split', async () => {
    const base = world({ prompts: 300 });
    const vocabulary = [
      'river',
      'copper',
      'seven',
      'window',
      'garden',
      'letter',
      'engine',
      'winter',
      'candle',
      'harbour',
    ];
    const words = (pair: number) =>
      Array.from({ length: 25 }, (_, k) => vocabulary[hash32(`${pair} ${k}`) % 10]).join(' ');
    const twins: Dataset = {
      ...base,
      prompts: base.prompts.map((p, i) => ({
        ...p,
        text: `${words(Math.floor(i / 2))}${i % 2 === 0 ? '' : ' please'}`,
      })),
    };
    const e = await run(twins, {});
    expectRed(e, 'NEAR_DUPLICATES_ACROSS_SPLIT', /nearly the same as a training prompt/);
    expect(e.splitDuplicates.examples.length).toBeGreaterThan(0);
  });

  test('a router that surely keeps less than it was set to keep', async () => {
    const { flags: _, ...rest } = await run(world({ prompts: 600 }), {});
    const kept = { value: 0.954, low: 0.941, high: 0.968 };
    const routers = rest.routers.map((r) =>
      r.name === 'default'
        ? { ...r, promised: { ...r.promised, '98': { ...r.promised['98'], reached: true, kept } } }
        : r,
    );
    expectRed({ ...rest, routers, flags: flagsOf({ ...rest, routers }) }, 'PROMISE_NOT_KEPT', /promise too much/);
  });

  test('a model id misspelt in predictions, which would never be chosen', async () => {
    const dataset = world({ prompts: 300 });
    const lines = dataset.prompts.flatMap((p) =>
      Object.keys(dataset.models).map((m) =>
        JSON.stringify({ promptId: p.id, modelId: m === 'b/middle' ? 'b/midle' : m, quality: truth(p, m) }),
      ),
    );
    const path = join(temporaryFolder(), 'misspelt.jsonl');
    writeFileSync(path, lines.join('\n'));
    const e = await run(dataset, {}, { routers: [`mine=${path}`] });
    expectRed(e, 'MODELS_NOT_RANKED', /no forecast for b\/middle/);
    expect(e.flags.find(({ code }) => code === 'MODELS_NOT_RANKED')!.message).toContain('its file names b/midle');
  });

  test('a router below the zero router', async () => {
    const e = await run(world({ prompts: 600 }), { asItIs: noise });
    expectRed(e, 'BELOW_ZERO', /below the zero router/);
    expect(htmlReport(e)).toContain('▼ below zero');
  });

  test('predictions that saw the outcomes of the training part alone', async () => {
    const dataset = world({ prompts: 600 });
    const outcomes = outcomesOf(dataset);
    // Which prompts are tested is known from a first run: the split is by the seed.
    const frozen = await evaluate(dataset, {
      load: loading(fakeSource({})),
      replicates: 10,
      routers: ['cascade'],
      checks: false,
    });
    expect(frozen.trainPrompts).toBe(420);
    const { foldRows } = await import('../../eval/split.ts');
    const [fold] = foldRows(dataset.prompts, { split: 'group', seed: 0, seen: () => false });
    const trained = new Set(fold!.train.map((i) => dataset.prompts[i]!.id));
    const lines = dataset.prompts.flatMap((p) =>
      Object.keys(dataset.models).map((m) =>
        JSON.stringify({
          promptId: p.id,
          modelId: m,
          quality: trained.has(p.id) ? 0.3 + 0.4 * outcomes.get(`${p.id} ${m}`)! : 0.3 + 0.4 * truth(p, m),
        }),
      ),
    );
    const path = join(temporaryFolder(), 'fitted.jsonl');
    writeFileSync(path, lines.join('\n'));
    const e = await run(dataset, {}, { routers: [`fitted=${path}`] });
    expectRed(e, 'IN_SAMPLE_FORECASTS', /saw these prompts/);
  });

  test('a control that does not stand where it must', async () => {
    const { flags: _, ...rest } = await run(world(), {});
    const control = {
      name: 'control: pure noise',
      lead: { value: 0.05, low: 0.02, high: 0.08 },
      gapRecovered: 0.2,
      expected: 'not above the zero router',
      passed: false,
    };
    const flags = flagsOf({ ...rest, controls: [control] });
    expectRed({ ...rest, flags, controls: [control] }, 'CONTROL_FAILED', /measures something else than skill/);
  });

  test('a lead whose sign another analysis turns', async () => {
    const { flags: _, ...rest } = await run(world({ prompts: 600 }), {});
    const lead = { value: 0.03, low: 0.01, high: 0.05 };
    const routers = rest.routers.map((r) => (r.name === 'default' ? { ...r, aiqMinusZero: lead } : r));
    const sensitivity = [
      {
        analysis: 'reasoning models at 3 ×',
        leads: [{ router: 'default', lead: { value: -0.01, low: -0.02, high: 0 } }],
      },
    ];
    expectRed(
      { ...rest, routers, sensitivity, flags: flagsOf({ ...rest, routers, sensitivity }) },
      'SIGN_CHANGES',
      /claim nothing/,
    );
  });
});

describe('a router that may not be trusted', () => {
  test('does not lead, neither in the verdict nor in the savings, and is marked wherever it stands', async () => {
    const dataset = world({ prompts: 600 });
    const outcomes = outcomesOf(dataset);
    const path = join(temporaryFolder(), 'leak.jsonl');
    const lines = dataset.prompts.flatMap((p) =>
      Object.keys(dataset.models).map((m) =>
        JSON.stringify({ promptId: p.id, modelId: m, quality: 0.1 + 0.8 * outcomes.get(`${p.id} ${m}`)! }),
      ),
    );
    writeFileSync(path, lines.join('\n'));
    const asItIs = (p: Parameters<typeof truth>[0], m: string) => 0.5 + 0.3 * (truth(p, m) - 0.5);
    const e = await run(dataset, { asItIs }, { routers: [`leak=${path}`, 'default'] });
    expect(htmlReport(e)).toMatch(/class="verdict">The best learned router, default,/);
    expect(htmlReport(e)).toMatch(/leak<span class="below">▲ not to be trusted/);
    expect(textReport(e)).toMatch(/better than the zero router beyond chance: default\n/);
    expect(textReport(e)).toContain('▲ not to be trusted, see the warnings: leak');
    expect(markdownReport(e)).toContain('**leak** 🟥 not to be trusted');
    // Nothing of the sort can be put into our gateway.
    expect(e.routers.find((r) => r.name === 'leak')!.operatingPoint!.knobs).toEqual([]);
  });
});

describe('what is odd and not wrong', () => {
  test('where length alone tells as much, a great lead is no leak', async () => {
    const base = world({ prompts: 600 });
    const hard = new Map(base.prompts.map((p) => [p.id, hash32(p.id) % 2 === 1]));
    const easy: Dataset = {
      ...base,
      prompts: base.prompts.map((p) => ({ ...p, text: 'x'.repeat(hard.get(p.id) ? 400 : 40) })),
      outcomes: base.outcomes.map((o) => ({ ...o, quality: hard.get(o.promptId) && o.modelId !== 'c/large' ? 0 : 1 })),
    };
    const e = await run(
      easy,
      { asItIs: (p, m) => (p.text.length > 100 && m !== 'c/large' ? 0.05 : 0.95) },
      { routers: ['default', 'length-only'] },
    );
    expect(e.flags.find(({ code }) => code === 'LEAKY_ROUTER')).toMatchObject({
      severity: 'note',
      message: expect.stringContaining('length-only'),
    });
  });

  test('models that are all equal leave nothing to route, and no figure becomes NaN', async () => {
    const base = world({ prompts: 200 });
    const equal: Dataset = { ...base, outcomes: base.outcomes.map((o) => ({ ...o, quality: 1 })) };
    const e = await run(equal, {});
    expect(e.flags.map(({ code }) => code)).toContain('NOTHING_TO_ROUTE');
    expect(`${textReport(e)}${htmlReport(e)}${markdownReport(e)}`).not.toMatch(/NaN|undefined|Infinity/);
    for (const r of e.routers) expect(r.gapRecovered).toBeNull();
  });

  test('few test groups are a note', async () => {
    const e = await run(world({ prompts: 60 }), {});
    expect(e.flags.find(({ code }) => code === 'FEW_TEST_GROUPS')).toMatchObject({ severity: 'note' });
    expect(htmlReport(e)).toContain('class="note" data-code="FEW_TEST_GROUPS"');
  });
});

describe('checks of every run', () => {
  test('the controls stand where they must, and the oracle knows more than a router that sees half', async () => {
    const e = await run(world({ prompts: 600 }), {});
    expect(e.controls.map(({ name, passed }) => [name, passed])).toEqual([
      ['control: pure noise', true],
      ['control: permuted labels', true],
      ['control: sees the test outcomes', true],
    ]);
    const [noisy, , leaky] = e.controls;
    expect(noisy!.lead.value!).toBeLessThan(0);
    expect(leaky!.gapRecovered!).toBeGreaterThan(0.5);
    // They are no routers of the board.
    expect(e.routers.some(({ name }) => name.startsWith('control'))).toBe(false);
  });

  test('other analyses of the same answers stand beside the lead, each named once', async () => {
    const e = await run(world({ prompts: 400, holes: 0.1 }), {});
    const names = e.sensitivity.map(({ analysis }) => analysis);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('only test prompts that every model answered');
    expect(names).toContain('AIQ over cost instead of its logarithm');
    for (const { leads } of e.sensitivity) expect(leads.map(({ router }) => router)).toEqual(['default']);
    const lead = e.routers.find((r) => r.name === 'default')!.aiqMinusZero.value!;
    // Twice the operating points are nearly the same curve.
    const finer = e.sensitivity.find(({ analysis }) => analysis.startsWith('65'))!.leads[0]!.lead.value!;
    expect(Math.abs(finer - lead)).toBeLessThan(0.02);
  });

  test('can be left out', async () => {
    const e = await run(world(), {}, { checks: false });
    expect([e.controls, e.sensitivity]).toEqual([[], []]);
  });
});

test('other analyses fit nothing again, whatever they leave out', async () => {
  let fits = 0;
  const estimator = {
    ...knowing(truth),
    fit: async (table: Parameters<ReturnType<typeof knowing>['fit']>[0]) => {
      fits++;
      return predictorOf(table.modelIds, truth);
    },
  };
  const dataset = world({ prompts: 400, holes: 0.1 });
  await run(dataset, { estimator }, { routers: ['default+fit'], checks: false });
  const once = fits;
  await run(dataset, { estimator }, { routers: ['default+fit'] });
  expect(fits).toBe(2 * once);
});
