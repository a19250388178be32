/** The evaluation asks our own gateway as it would any other router. */
import { afterEach, expect, test } from 'vitest';
import type { Frozen } from '../../eval/contender.ts';
import { httpRouter } from '../../eval/http-router.ts';
import { selectPartRows } from '../../eval/part.ts';
import { singleModels } from '../../eval/single-models.ts';
import { foldRows } from '../../eval/split.ts';
import { partFrom, world } from '../eval/fixtures.ts';
import { candidate, gatewayOver, type TestGateway } from './fakes.ts';

let gateway: TestGateway;
afterEach(() => gateway.close());

const dataset = world({ prompts: 200 });
const whole = partFrom(dataset);
const [rows] = foldRows(dataset.prompts, { split: 'group', seed: 0, seen: () => false });
const train = selectPartRows(whole, rows!.train);
const tested = selectPartRows(whole, rows!.test);
const singles = singleModels(train);
const training = { part: train, singles, baseline: singles.byFallingQuality, gridPoints: 33, seed: 0 };

test('a gateway’s ranking is what the evaluation believes of each model, and the gateway calls and records nothing', async () => {
  const models = ['c/large', 'other/model', 'a/small'].map((id, k) => candidate(id, k + 1));
  gateway = await gatewayOver(models, {
    upstreams: { a: 'http://127.0.0.1:1', c: 'http://127.0.0.1:1', other: 'http://127.0.0.1:1' },
  });
  const contender = httpRouter('gateway', gateway.url);
  const frozen = (await contender.prepare(training)) as Frozen;
  const { predicted, expected, outcomes } = await frozen.measure(tested);
  // The fake router ranks in the order of its candidates: 0.9, 0.89, 0.88. It has no b/middle.
  expect([...predicted!.slice(0, 3)]).toEqual([0.88, Number.NaN, 0.9]);
  // a/small costs 3 USD in and 6 out a million tokens, of 100 tokens out and a few in.
  expect(expected!.costUsd[0]!).toBeGreaterThan(6e-4);
  expect(expected!.costUsd[0]!).toBeLessThan(2e-3);
  expect(expected!.outputTokens![0]).toBe(100);
  for (const { choice } of outcomes.values()) expect([...new Set(choice)].every((j) => j === 0 || j === 2)).toBe(true);
  expect(gateway.decisions).toEqual([]);
  expect(gateway.attempts).toEqual([]);
});

test('a gateway that refuses says with which code', async () => {
  gateway = await gatewayOver([
    candidate('a/small', 1, { contextTokens: 5 }),
    candidate('c/large', 1, { contextTokens: 5 }),
  ]);
  const work = httpRouter('gateway', `${gateway.url}/v1`).prepare(training);
  await expect(work).rejects.toMatchObject({ code: 'UPSTREAM_ERROR' });
  await expect(work).rejects.toThrow(/prompt p\d+: it answered with status 400 \(context_length_exceeded\)$/);
});
