/** Targets and budgets, from the calibration part to the decisions: met in expectation where they were solved. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Outcome, type Prompt, roleOf } from '../../../datasets/index.ts';
import { saveArtifact } from '../../../router/artifact/artifact.ts';
import { Router } from '../../../router/index.ts';
import type { Knobs } from '../../../router/policy/policy.ts';
import { train } from '../../../router/training/train.ts';
import { candidateOf, failureOf, generatedDataset, temporaryFolder } from '../fixtures.ts';

const data = generatedDataset(1600, 3);
const calibration = data.prompts.filter((p) => roleOf(p.groupId) === 'calibration');
const outcomeOf = new Map(data.outcomes.map((o) => [`${o.promptId} ${o.modelId}`, o]));
const candidates = Object.entries(data.models).map(([id, { inputUsdPerMTok, outputUsdPerMTok }]) =>
  candidateOf(id, { inputUsdPerMTok: inputUsdPerMTok!, outputUsdPerMTok: outputUsdPerMTok! }),
);
const STRONG = 'local/strong';

let dir: string;
let router: Router;
const open = (policy: Partial<Knobs> = {}) => Router.load({ artifact: dir, candidates, policy });
beforeAll(async () => {
  const parts = await train(data, { seed: 1, created: new Date('2026-01-01T00:00:00Z') });
  dir = saveArtifact(join(mkdtempSync(join(tmpdir(), 'pointsman-solve-')), 'router'), parts).dir;
  router = await open();
});

afterAll(() => rmSync(dirname(dir), { recursive: true, force: true }));

/** Expectations over the distribution of each calibration prompt's decision. */
async function expected(policy: Partial<Knobs>) {
  let costUsd = 0;
  let quality = 0;
  let reference = 0;
  for (const prompt of calibration) {
    const d = await router.route(ask(prompt), { draw: 0.5, policy });
    d.ranked.forEach((r, k) => {
      costUsd += (d.distribution[k]! * r.costUsd) / calibration.length;
      quality += d.distribution[k]! * outcome(prompt, r.model).quality;
    });
    reference += outcome(prompt, STRONG).quality;
  }
  return { costUsd, kept: quality / reference };
}
const ask = ({ text }: Prompt) => ({ messages: [{ role: 'user', content: text }] });
const outcome = (prompt: Prompt, model: string): Outcome => outcomeOf.get(`${prompt.id} ${model}`)!;

describe('a budget', () => {
  test('is what is spent per 1 000 requests, for any budget between the cheapest and the best', async () => {
    const least = await expected({ dial: 0 });
    const most = await expected({ dial: 10 });
    for (const part of [0.1, 0.5, 0.9]) {
      const budget = 1000 * (least.costUsd + part * (most.costUsd - least.costUsd));
      // Prompts are the sample itself; their tokens are rounded.
      expect((1000 * (await expected({ budget })).costUsd) / budget).toBeCloseTo(1, 2);
    }
  });

  test('that cannot be kept spends the least, one that need not be minded takes the best', async () => {
    expect(await expected({ budget: 1e-9 })).toEqual(await expected({ dial: 0 }));
    expect(await expected({ budget: 1e9 })).toEqual(await expected({ dial: 10 }));
  });

  test('is spent by a draw whose probability is in the decision', async () => {
    const least = await expected({ dial: 0 });
    const most = await expected({ dial: 10 });
    const policy = { budget: 500 * (least.costUsd + most.costUsd), exploration: 0 };
    const { mix } = await router.route(ask(calibration[0]!), { policy });
    expect(mix).toHaveLength(2);
    expect(mix.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
    const shared = [];
    for (const prompt of calibration) shared.push((await router.route(ask(prompt), { draw: 0, policy })).propensity);
    // Where the two settings choose differently, each has its own share of the mix.
    const parts = new Set(shared.map((p) => p.toFixed(9)));
    expect(parts).toContain(mix[0]!.share.toFixed(9));
  });
});

describe('a target', () => {
  test.each([0.85, 0.9, 0.95, 0.98])(
    'of %s of the reference’s quality is what was kept on the calibration part',
    async (keep) => {
      expect(Math.abs((await expected({ target: { keep } })).kept - keep)).toBeLessThan(0.02);
    },
  );

  test('against a weaker reference asks for less', async () => {
    const strict = await expected({ target: { keep: 0.98, reference: STRONG } });
    const lax = await expected({ target: { keep: 0.98, reference: 'local/middling' } });
    expect(lax.costUsd).toBeLessThan(strict.costUsd);
    expect(await expected({ target: { keep: 0.98 } })).toEqual(strict);
  });

  test('against a model that is no candidate is refused, on a request and at load', async () => {
    const policy = { target: { keep: 0.98, reference: 'local/none' } };
    for (const attempt of [() => router.route(ask(calibration[0]!), { policy }), () => open(policy)]) {
      expect(await failureOf(attempt)).toMatchObject({
        code: 'INVALID_CONFIG',
        message: expect.stringContaining('local/none'),
      });
    }
  });

  test('cannot be solved by an artifact that holds no traffic, and the error says what can', async () => {
    const shipped = await failureOf(async () => {
      const { certificate: _c, traffic: _t, ...knobs } = router.policy;
      const bare = saveArtifact(join(temporaryFolder(), 'bare'), {
        ...(await train(generatedDataset(12, 1), { seed: 1, created: new Date() })),
        policy: { ...knobs, certificate: null, traffic: null },
      });
      await Router.load({ artifact: bare.dir, candidates, policy: { budget: 1 } });
    });
    expect(shipped).toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringContaining('use dial or tolerance'),
    });
  });
});

test('an artifact trained on one’s own data certifies its own candidates and prices, while they last', async () => {
  const { certificate } = router.policy;
  expect(certificate!.sources[0]).toMatchObject({ source: 'made-up', reference: STRONG });
  // The same candidates and prices as in the data: only whether a tolerance was proved decides.
  expect(router.certificate(null).holds).toBe(certificate!.tolerance !== null);
  const dearer = await Router.load({
    artifact: dir,
    candidates: candidates.map((c) => (c.id === STRONG ? { ...c, outputUsdPerMTok: c.outputUsdPerMTok + 1 } : c)),
  });
  expect(dearer.certificate(null).holds).toBe(false);
});
