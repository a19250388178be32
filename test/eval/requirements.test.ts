import { beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../eval/evaluate.ts';
import { FIGURES } from '../../eval/figures.ts';
import { checkRequirements, parseRequirement } from '../../eval/requirements.ts';
import type { Evaluation } from '../../eval/result.ts';
import { failureOf } from '../datasets/fixtures.ts';
import { fakeSource, loading, world } from './fixtures.ts';

let e: Evaluation;
beforeAll(async () => {
  e = await evaluate(world(), { load: loading(fakeSource({})), replicates: 30, routers: ['default'], checks: false });
});

describe('a condition', () => {
  test('is a figure, a comparison and a number', () => {
    expect(parseRequirement('savings@98>=0.3')).toMatchObject({
      figure: 'saving98',
      of: 'value',
      comparison: '>=',
      limit: 0.3,
    });
    expect(parseRequirement(' ece <= .05 ')).toMatchObject({ figure: 'ece', comparison: '<=', limit: 0.05 });
    expect(parseRequirement('aiqMinusZero.low>-1e-3')).toMatchObject({
      figure: 'aiqMinusZero',
      of: 'low',
      comparison: '>',
      limit: -0.001,
    });
    expect(parseRequirement('kept@95>=0.94')).toMatchObject({ figure: 'keptQuality95' });
    expect(parseRequirement('redFlags<=0')).toMatchObject({ figure: 'redFlags' });
    for (const name of FIGURES) expect(parseRequirement(`${name}<1`).figure).toBe(name);
  });

  test.each(['', 'ece', 'ece=0.1', 'ece<=x', 'nothing>=1', 'savings@97>=0.3', 'ece.middle<=1', 'ece<=0.1%'])(
    'refuses "%s" and says what can be asked',
    async (text) => {
      expect((await failureOf(async () => parseRequirement(text))).code).toBe('INVALID_CONFIG');
    },
  );
});

describe('the gate', () => {
  const ask = (text: string) => {
    const router = e.routers.find((r) => r.name === 'default')!;
    return checkRequirements([parseRequirement(text)], e, router)[0]!;
  };

  test('holds or fails by the value, or by an end of its interval', () => {
    const { value, low } = e.routers.find((r) => r.name === 'default')!.metrics.aiq;
    expect(ask(`aiq>=${value}`).passed).toBe(true);
    expect(ask(`aiq>${value}`).passed).toBe(false);
    expect(ask(`aiq.low<=${low}`).passed).toBe(true);
    expect(ask('redFlags<=100').passed).toBe(true);
  });

  test('a figure without a value never passes, and the line says so', () => {
    // Three models have no APGR.
    for (const text of ['apgr>=0', 'apgr<=1']) {
      expect(ask(text)).toMatchObject({ passed: false, line: expect.stringContaining('has no value for it here') });
    }
  });

  test('a promise that is reached nowhere is not kept, though the baseline would keep it', () => {
    const router = e.routers.find((r) => r.name === 'default')!;
    const promised = { ...router.promised, '98': { ...router.promised['98'], reached: false } };
    for (const text of ['kept@98>=0', 'promised@98>=0']) {
      const [verdict] = checkRequirements([parseRequirement(text)], e, { ...router, promised });
      expect(verdict).toMatchObject({ passed: false, line: expect.stringContaining('nowhere on the training part') });
    }
  });

  test('red flags of another router do not count, those of the whole comparison do', () => {
    const router = e.routers.find((r) => r.name === 'default')!;
    const flag = { code: 'BELOW_ZERO', severity: 'red', message: '' } as const;
    const count = (flags: Evaluation['flags']) =>
      checkRequirements([parseRequirement('redFlags<=0')], { ...e, flags }, router)[0]!.passed;
    expect(count([{ ...flag, router: 'other' }])).toBe(true);
    expect(count([{ ...flag, router: 'default' }])).toBe(false);
    expect(count([flag])).toBe(false);
    expect(() => parseRequirement('redFlags.low<=0')).toThrow(/is a count/);
  });

  test('the line names router, value and interval', () => {
    expect(ask('aiq>=2').line).toMatch(/^aiq>=2: default has 0\.\d{4} \[0\.\d{4}, 0\.\d{4}\]$/);
  });
});
