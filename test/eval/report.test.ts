import { beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../eval/evaluate.ts';
import { percent, standing, usd } from '../../eval/report/format.ts';
import { htmlReport } from '../../eval/report/html.ts';
import { jsonReport } from '../../eval/report/json.ts';
import { textReport } from '../../eval/report/text.ts';
import type { Evaluation } from '../../eval/result.ts';
import { fakeSource, loading, SKILLS, world } from './fixtures.ts';

const load = loading(fakeSource({}));
let plain: Evaluation;
let pair: Evaluation;
let byBenchmark: Evaluation;
let free: Evaluation;

beforeAll(async () => {
  const options = { load, replicates: 50 };
  plain = await evaluate(world({ holes: 0.1 }), options);
  const skills = { 'a/small': SKILLS['a/small'], 'c/large': SKILLS['c/large'] };
  pair = await evaluate(world({ skills }), { ...options, routers: ['default'] });
  byBenchmark = await evaluate(world({ prompts: 450, benchmarks: 3 }), {
    ...options,
    split: 'benchmark',
    routers: ['default'],
  });
  const base = world();
  free = await evaluate(
    { ...base, models: { ...base.models, 'a/small': { inputUsdPerMTok: 0, outputUsdPerMTok: 0 } } },
    { ...options, routers: ['default', 'cascade'] },
  );
});

describe('JSON', () => {
  test('has the documented names, costs in USD per prompt, fractions and nulls', () => {
    const e = JSON.parse(jsonReport(plain));
    expect(e).toMatchObject({
      dataset: 'world',
      split: 'group',
      seed: 0,
      trainPrompts: expect.any(Number),
      prompts: expect.any(Number),
      groups: expect.any(Number),
      models: 3,
      costBasis: 'tokens',
      dropped: { trainedGroups: 0, contaminated: 0, hiddenReasoningModels: [], unpricedModels: [] },
      baseline: { model: 'c/large', costUsd: expect.any(Number), quality: expect.any(Number) },
    });
    for (const r of e.routers) {
      for (const name of ['name', 'aiqLinear', 'gapRecovered', 'apgr', 'cpt50', 'cpt80', 'qualityNeutralCost', 'ece']) {
        expect(r).toHaveProperty(name);
      }
      expect(Object.keys(r.aiq)).toEqual(['value', 'low', 'high']);
      expect(Object.keys(r.aiqMinusZero)).toEqual(['value', 'low', 'high']);
      expect(Object.keys(r.savingsAt).sort()).toEqual(['100', '95', '98']);
      expect(r.aiq.low).toBeLessThanOrEqual(r.aiq.value);
      expect(r.aiq.high).toBeGreaterThanOrEqual(r.aiq.value);
      for (const p of r.curve) {
        expect(p).toMatchObject({
          setting: expect.any(String),
          costUsd: expect.any(Number),
          quality: expect.any(Number),
        });
        expect(p.quality).toBeGreaterThanOrEqual(0);
        expect(p.quality).toBeLessThanOrEqual(1);
      }
    }
  });

  test('survives its own parser and never holds a number that is none', () => {
    for (const e of [plain, pair, byBenchmark, free])
      expect(JSON.parse(jsonReport(e))).toEqual(JSON.parse(JSON.stringify(e)));
    expect(() => jsonReport({ ...plain, prompts: Number.NaN })).toThrow(/prompts is NaN/);
  });
});

describe('text', () => {
  test('says what was compared, on what, and how to read it', () => {
    const text = textReport(plain);
    for (const part of [
      'seed 0',
      'cost basis: tokens',
      'baseline: c/large',
      'default+fit',
      'oracle *',
      'resamples by group',
    ]) {
      expect(text).toContain(part);
    }
    expect(text.split('\n').filter((line) => line.trimStart().startsWith('zero'))[0]).toMatch(/0\.00/);
  });

  test('says of the cascade that its judge is simulated, where there is one', () => {
    for (const report of [textReport, htmlReport]) {
      expect(report(plain).replaceAll('\n', ' ')).toContain('Its judge is simulated');
      expect(report(pair).replaceAll('\n', ' ')).not.toContain('judge');
    }
  });

  test('shows the pair table for two models only, the benchmark table when each was left out', () => {
    expect(textReport(pair)).toContain('APGR');
    expect(textReport(plain)).not.toContain('APGR');
    expect(textReport(byBenchmark)).toMatch(/bench-2\s+150/);
  });

  test('prints no NaN, null, undefined or infinity anywhere', () => {
    for (const e of [plain, pair, byBenchmark, free]) {
      expect(textReport(e)).not.toMatch(/NaN|null|undefined|Infinity|\[object/);
      expect(htmlReport(e)).not.toMatch(/NaN|>null|undefined|Infinity|\[object/);
    }
  });

  test('numbers are what people read: no minus zero, no exponent', () => {
    expect(percent(-1e-9, 2)).toBe('0.00');
    expect(percent(-0.0123, 1)).toBe('−1.2');
    expect(percent(null)).toBe('–');
    expect([usd(0.0000123), usd(1234.5), usd(0), usd(null)]).toEqual(['$0.0000123', '$1235', '$0', '–']);
    expect(standing({ value: 0.01, low: -0.01, high: 0.02 })).toBe('unclear');
    expect(standing({ value: -0.02, low: -0.03, high: -0.01 })).toBe('below');
    expect(standing({ value: null, low: null, high: null })).toBe('none');
  });
});

describe('warnings', () => {
  test('a reasoning model kept on request stays marked: in JSON, beside the cost basis, and as the baseline', async () => {
    const skills = { 'a/small': 0.3, 'b/middle': 0.6, 'openai/o1': 0.9 };
    const e = await evaluate(world({ skills }), {
      load,
      replicates: 20,
      routers: ['length-only'],
      includeReasoning: true,
    });
    expect(JSON.parse(jsonReport(e)).hiddenReasoningIncluded).toEqual(['openai/o1']);
    expect(textReport(e)).toMatch(
      /cost basis.*\n( {2}.*\n)* {2}WARNING: 1 reasoning model kept by --include-reasoning: openai\/o1/,
    );
    expect(textReport(e)).toContain('baseline: openai/o1 [hidden tokens not counted]');
    expect(htmlReport(e)).toMatch(/class="warning red".*openai\/o1/);
    expect(textReport(plain)).not.toContain('hidden tokens');
    expect(plain.flags.map(({ code }) => code)).not.toContain('HIDDEN_REASONING');
  });

  test('a benchmark that the artifact knows other prompts of is not passed off as new', async () => {
    const source = fakeSource({ seen: (g) => Number(g.split('-')[1]) < 200 });
    const options = { load: loading(source), replicates: 20, split: 'benchmark' as const };
    const e = await evaluate(world({ prompts: 450, benchmarks: 3 }), { ...options, routers: ['default'] });
    expect(textReport(e)).toContain('WARNING: these benchmarks are not new to the artifact');
    expect(textReport(byBenchmark)).not.toContain('not new');
  });

  test('on one training prompt there is no gap to recover, and a warning says why', async () => {
    let without = 0;
    for (let seed = 0; seed < 6; seed++) {
      const e = await evaluate(world(), { load, replicates: 20, routers: ['length-only'], trainPrompts: 1, seed });
      const aiqOf = (name: string) => e.routers.find((r) => r.name === name)!.aiq.value;
      if (aiqOf('oracle') === null || aiqOf('oracle')! <= aiqOf('zero')! + 1e-9) {
        without++;
        for (const r of e.routers) expect(r.gapRecovered).toBeNull();
      }
      expect(textReport(e)).toContain('WARNING: only 1 training prompt');
    }
    expect(without).toBeGreaterThan(0);
  });
});

describe('HTML', () => {
  test('stands alone: nothing to fetch, and a script that asks nobody', () => {
    const html = htmlReport(plain);
    expect(html).not.toMatch(/<script [^>]*src|<link|<img|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import\(/);
    expect(html.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:\/\//);
    expect(html).toContain('prefers-color-scheme: dark');
  });

  test('draws every router with a label and a title for those who do not see it', () => {
    const html = htmlReport(plain);
    for (const r of plain.routers) expect(html).toContain(`<title>${r.name}: AIQ`);
    expect(html).toMatch(/role="img" aria-labelledby="curve-wide-title curve-wide-desc"/);
    const ids = [...html.matchAll(/ id="([^"]+)"/g)].map((m) => m[1]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('names from data cannot inject markup', () => {
    const html = htmlReport({ ...plain, dataset: '<b onclick="x">&' });
    expect(html).not.toContain('<b onclick');
    expect(html).toContain('&lt;b onclick=&quot;x&quot;&gt;&amp;');
  });
});
