/** New candidates: tried for a share of their own, never taken for the best on no evidence, probabilities exact. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { type Artifact, loadArtifact } from '../../../router/artifact/artifact.ts';
import { AVERAGE_MODEL } from '../../../router/decision.ts';
import { selectHeads } from '../../../router/heads/heads.ts';
import { createRouter } from '../../../router/index.ts';
import { type CandidatePrediction, decide } from '../../../router/policy/decide.ts';
import { Policy } from '../../../router/policy/policy.ts';
import { KNOWN, NEW, oddsOf, UNTRIED } from '../../../router/policy/rule.ts';
import { candidateOf, factsOf, failureOf } from '../fixtures.ts';

type Novelty = CandidatePrediction['novelty'];
/** All output, 1 000 tokens, no input: the price of a call is `costUsd`. */
const option = (id: string, quality: number, costUsd: number, novelty?: Novelty): CandidatePrediction => ({
  candidate: candidateOf(`x/${id}`, { inputUsdPerMTok: 0, outputUsdPerMTok: costUsd * 1000 }),
  like: novelty === 'untried' ? AVERAGE_MODEL : `like/${id}`,
  quality,
  qualitySd: 0.1,
  meanQuality: quality,
  outputTokens: 1000,
  novelty,
});
const facts = factsOf();
const knobs = (more: Partial<Policy> = {}): Policy => Policy.parse({ tolerance: 0.1, exploration: 0.4, ...more });
/** Greedy: mid. Without newcomers, 0.36 over mid and big (near), 0.04 over all three. */
const THREE = [option('small', 0.5, 0.001), option('mid', 0.75, 0.01), option('big', 0.8, 0.1)];
const oddsIn = (d: ReturnType<typeof decide>) => new Map(d.ranked.map(({ model }, i) => [model, d.distribution[i]!]));

describe('decide, with candidates that are new', () => {
  test('gives those of which nothing is known their share, and takes it evenly from all others', () => {
    const list = [...THREE, option('a', 1, 0, 'untried'), option('b', 0.1, 9, 'untried')];
    const d = decide(list, facts, knobs(), 0, 0, { newcomerShare: 0.1 });
    expect(d).toMatchObject({ model: 'x/mid', reason: 'cheapest_adequate', explorable: true });
    // The floor is that of the known ones: 0.8 − 0.1, though a is forecast at 1.
    expect(d.floor).toBeCloseTo(0.7, 12);
    const p = oddsIn(d);
    expect(p.get('x/a')).toBeCloseTo(0.05, 12);
    expect(p.get('x/b')).toBeCloseTo(0.05, 12);
    // 0.9 · (0.04 / 3), 0.9 · (0.6 + 0.18 + 0.04 / 3), 0.9 · (0.18 + 0.04 / 3)
    expect(p.get('x/small')).toBeCloseTo(0.012, 12);
    expect(p.get('x/mid')).toBeCloseTo(0.714, 12);
    expect(p.get('x/big')).toBeCloseTo(0.174, 12);
  });

  test('tries them last when a call fails, and never calls them good enough', () => {
    const list = [option('a', 1, 0, 'untried'), ...THREE];
    const d = decide(list, facts, knobs(), 0, 0, { newcomerShare: 0.1 });
    expect(d.ranked.map(({ model }) => model)).toEqual(['x/mid', 'x/big', 'x/small', 'x/a']);
    expect(d.ranked.at(-1)).toMatchObject({ like: AVERAGE_MODEL, adequate: false });
    const tried = decide(list, facts, knobs(), 0, 0.9999, { newcomerShare: 0.1 });
    expect(tried).toMatchObject({ model: 'x/a', reason: 'explored', explored: true, propensity: 0.1 });
    // What would have been taken stands behind what was drawn.
    expect(tried.ranked[1]!.model).toBe('x/mid');
  });

  test('lets one that is forecast win all the same, and tries it no more than its share where it does not', () => {
    // Cheapest and good enough: it has the winner's part and the newcomers' share.
    const wins = oddsIn(decide([...THREE, option('a', 0.78, 0, 'new')], facts, knobs(), 0, 0, { newcomerShare: 0.1 }));
    // Pool: mid, big, and a as the winner. 0.9 · (0.6 + 0.36 / 3) + 0.1
    expect(wins.get('x/a')).toBeCloseTo(0.748, 12);
    // Good enough, but dear: the ordinary exploration would have given it 0.36 / 3 + 0.04 / 4.
    const loses = oddsIn(decide([...THREE, option('a', 0.8, 9, 'new')], facts, knobs(), 0, 0, { newcomerShare: 0.1 }));
    expect(loses.get('x/a')).toBeCloseTo(0.1, 12);
  });

  test.each([
    ['critical', { critical: true }],
    ['not to be explored', { explore: false }],
    [
      'a later turn of a conversation',
      { session: { incumbent: 'x/mid', prefixTokens: 0, locked: null, sticky: true } },
    ],
  ])('tries none on a request that is %s', (_, more) => {
    const list = [...THREE, option('a', 1, 0, 'untried'), option('b', 0.1, 9, 'new')];
    for (const draw of [0, 0.5, 0.9999]) {
      const d = decide(list, facts, knobs(), 0, draw, { newcomerShare: 0.5, ...more });
      expect(d).toMatchObject({ model: 'x/mid', explored: false, explorable: false, propensity: 1 });
    }
  });

  test('tries none where the policy explores nothing', () => {
    const list = [...THREE, option('a', 1, 0, 'untried')];
    const d = decide(list, facts, knobs({ exploration: 0 }), 0, 0.9999, { newcomerShare: 0.5 });
    expect(d).toMatchObject({ model: 'x/mid', propensity: 1, explorable: false });
  });

  test('keeps a conversation that is locked to one with it', () => {
    const session = { incumbent: 'x/a', prefixTokens: 0, locked: 'tool_loop' as const, sticky: true };
    for (const list of [[...THREE, option('a', 1, 0, 'untried')], [option('a', 1, 0, 'untried')]]) {
      expect(decide(list, facts, knobs(), 0, 0.5, { session })).toMatchObject({
        model: 'x/a',
        reason: 'pinned',
        propensity: 1,
        explorable: false,
      });
    }
  });

  test('does not abstain to one of which nothing is known', () => {
    const policy = knobs({ maxOutOfDomain: 0.5, defaultModel: 'x/a', exploration: 0 });
    const d = decide([...THREE, option('a', 1, 0, 'untried')], facts, policy, 0.9, 0);
    expect(d).toMatchObject({ model: 'x/mid', reason: 'abstained' });
  });

  test('calls a choice explorable only where there was another', () => {
    expect(decide(THREE.slice(0, 1), facts, knobs(), 0, 0).explorable).toBe(false);
    expect(decide(THREE, facts, knobs(), 0, 0).explorable).toBe(true);
  });
});

describe('for any input', () => {
  const unit = fc.double({ min: 0, max: 1, noNaN: true });
  const novelties = fc.constantFrom<Novelty>(undefined, undefined, 'new', 'untried');
  const lists = fc
    .array(
      fc.tuple(fc.oneof(unit, fc.constantFrom(0.5, 0.7)), fc.oneof(unit, fc.constantFrom(0.01, 0.02)), novelties),
      {
        minLength: 1,
        maxLength: 8,
      },
    )
    .map((list) => list.map(([q, c, novelty], i) => option(`m${i}`, q, c, novelty)))
    .filter((list) => list.some(({ novelty }) => novelty !== 'untried'));
  const policies = fc
    .record({
      tolerance: unit,
      minQuality: unit,
      exploration: fc.oneof(unit, fc.constant(0)),
      maxOutOfDomain: unit,
      qualityPerUsd: fc.option(fc.double({ min: 0, max: 100, noNaN: true })),
      defaultModel: fc.option(fc.constantFrom('x/m0', 'x/m3', 'x/none')),
    })
    .map(knobs);
  const mixes = fc.tuple(unit, unit, fc.double({ min: 0.01, max: 0.99, noNaN: true })).map(([a, b, share]) => [
    { tolerance: Math.min(a, b), share },
    { tolerance: Math.max(a, b), share: 1 - share },
  ]);
  const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

  test('probabilities sum to 1, nobody who may be tried is without a chance, and newcomers get no more than their share', () => {
    fc.assert(
      fc.property(lists, policies, unit, unit, mixes, unit, (list, policy, ood, draw, mix, share) => {
        const d = decide(list, facts, policy, ood, Math.min(draw, 0.999999), { mix, newcomerShare: share });
        expect(Math.abs(sum(d.distribution) - 1)).toBeLessThan(1e-12);
        expect(d.distribution[0]).toBe(d.propensity);
        expect(d.propensity).toBeGreaterThan(0);
        const { exploration } = policy;
        const known = list.filter(({ novelty }) => novelty === undefined);
        const given = known.length < list.length && exploration > 0 ? share : 0;
        const each = given / (list.length - known.length || 1);
        const p = oddsIn(d);
        for (const { candidate, novelty } of list) {
          const own = p.get(candidate.id)!;
          if (list.length === 1) expect(own).toBe(1);
          else if (novelty === 'untried') expect(Math.abs(own - each)).toBeLessThan(1e-12);
          else if (novelty === 'new') expect(own).toBeGreaterThanOrEqual(each * (1 - 1e-9) - 1e-300);
          else {
            const least = ((1 - given) * exploration) / (10 * known.length);
            expect(own).toBeGreaterThanOrEqual(least * (1 - 1e-9) - 1e-300);
          }
        }
        const novelty = list.find(({ candidate }) => candidate.id === d.model)!.novelty;
        if (novelty === 'untried') expect([d.reason, d.explored]).toEqual(['explored', true]);
        expect(d.explorable).toBe(exploration > 0 && list.length > 1);
      }),
      { numRuns: 500, seed: 21 },
    );
  });

  test('those of which nothing is known leave the choice between the others as it was', () => {
    fc.assert(
      fc.property(lists, policies, unit, mixes, unit, (list, policy, ood, mix, share) => {
        const others = list.filter(({ novelty }) => novelty !== 'untried').map((o) => ({ ...o, novelty: undefined }));
        const untried = list.filter(({ novelty }) => novelty === 'untried');
        fc.pre(others.length > 1 && policy.exploration > 0);
        const without = oddsIn(decide(others, facts, policy, ood, 0, { mix }));
        const beside = oddsIn(decide([...others, ...untried], facts, policy, ood, 0, { mix, newcomerShare: share }));
        const left = untried.length > 0 ? 1 - share : 1;
        for (const [model, p] of without) expect(Math.abs(beside.get(model)! - left * p)).toBeLessThan(1e-12);
      }),
      { numRuns: 300, seed: 22 },
    );
  });

  test('a candidate is drawn as often as its propensity says', () => {
    const random = seededRandom(23);
    const list = [...THREE, option('twin', 0.75, 0.01), option('a', 0.6, 0, 'untried'), option('b', 0.7, 0.02, 'new')];
    const mix = [
      { tolerance: 0.02, share: 0.3 },
      { tolerance: 0.1, share: 0.7 },
    ];
    const draws = 50_000;
    let wrong = 0;
    const counts = new Map<string, number>();
    let said = new Map<string, number>();
    for (let i = 0; i < draws; i++) {
      const d = decide(list, facts, knobs({ exploration: 0.2 }), 0, random(), { mix, newcomerShare: 0.05 });
      counts.set(d.model, (counts.get(d.model) ?? 0) + 1);
      if (i === 0) said = oddsIn(d);
      if (d.propensity !== said.get(d.model)) wrong++;
    }
    expect(wrong).toBe(0);
    // Pearson's χ² with 5 degrees of freedom is below 20.5 in 999 of 1 000.
    const chi2 = sum([...said].map(([model, p]) => ((counts.get(model) ?? 0) - draws * p) ** 2 / (draws * p)));
    expect(said.size).toBe(6);
    expect(chi2).toBeLessThan(20.5);
  });

  test('what exploring is expected to cost in quality is bounded by the knobs', () => {
    fc.assert(
      fc.property(lists, policies, unit, unit, (list, policy, tolerance, share) => {
        const quality = list.map((o) => o.quality);
        const costUsd = list.map((o) => o.candidate.outputUsdPerMTok / 1000);
        const novelty = Uint8Array.from(list, (o) => ({ new: NEW, untried: UNTRIED })[o.novelty!] ?? KNOWN);
        const rule = { ...policy, tolerance };
        const { probabilities, greedy } = oddsOf(quality, costUsd, rule, undefined, { share, novelty });
        const best = Math.max(...quality.filter((_, j) => novelty[j] !== UNTRIED));
        const guess = quality[greedy[0]!]!;
        const lost = sum(quality.map((q, j) => (greedy.includes(j) ? 0 : probabilities[j]! * Math.max(0, guess - q))));
        const { exploration } = policy;
        const given = exploration > 0 ? share : 0;
        expect(lost).toBeLessThanOrEqual(exploration * (0.9 * 2 * tolerance + 0.1 * best) + given * best + 1e-12);
      }),
      { numRuns: 500, seed: 24 },
    );
  });
});

describe('a router', () => {
  let artifact: Artifact;
  beforeAll(async () => {
    artifact = await loadArtifact();
  });
  const ask = { messages: [{ role: 'user', content: 'What is the capital of France?' }] };
  const policy = () => ({ ...artifact.policy, exploration: 0.1 });
  const newcomers = { ids: ['new/one', 'new/two'], share: 0.04 };
  /** Two that outcomes speak for, one the artifact knows nothing of, one that is like another. */
  function routerOf(more: Parameters<typeof candidateOf>[] = []) {
    const [first, second] = artifact.heads.modelIds.filter((_, j) => artifact.heads.evidence[j]! > 0);
    const candidates = [[first!], [second!], ['new/one'], ['new/two', { like: first! }], ...more] as const;
    return createRouter(
      artifact,
      candidates.map(([id, given]) => candidateOf(id, given)),
      policy(),
    );
  }

  test('tries a model that it knows nothing of, once it is told that it is new', async () => {
    const router = routerOf();
    expect(router.unknown).toEqual(['new/one']);
    const before = await router.route(ask, { draw: 0 });
    expect(before.filtered).toEqual([{ model: 'new/one', reason: 'unknown_to_artifact' }]);
    const after = await router.route(ask, { draw: 0, newcomers });
    expect(after.filtered).toEqual([]);
    expect(after.model).toBe(before.model);
    const at = after.ranked.findIndex(({ model }) => model === 'new/one');
    expect(after.distribution[at]).toBeCloseTo(0.02, 12);
    expect(after.certificate).toMatchObject({ holds: false });
    const { model, explored, propensity } = await router.route(ask, { draw: 0.999999, newcomers });
    expect({ model, explored }).toEqual({ model: 'new/one', explored: true });
    expect(propensity).toBeCloseTo(0.02, 12);
  });

  test('forecasts it as the average model, as uncertain as models differ', async () => {
    const everyone = createRouter(
      artifact,
      artifact.heads.modelIds.map((id) => candidateOf(id)),
      policy(),
    );
    const all = (await everyone.route(ask, { draw: 0 })).ranked;
    const { ranked } = await routerOf().route(ask, { draw: 0, newcomers });
    const found = ranked.find(({ model }) => model === 'new/one')!;
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const logit = mean(all.map(({ quality }) => Math.log(quality / (1 - quality))));
    expect(found.like).toBe(AVERAGE_MODEL);
    expect(found.quality).toBeCloseTo(1 / (1 + Math.exp(-logit)), 4);
    const spread = Math.sqrt(mean(all.map(({ quality }) => (quality - found.quality) ** 2)));
    expect(found.qualitySd).toBeGreaterThan(spread);
    expect(found.qualitySd).toBeLessThanOrEqual(0.5);
    const tokens = all.map(({ outputTokens }) => outputTokens);
    expect(found.outputTokens).toBeGreaterThan(Math.min(...tokens));
    expect(found.outputTokens).toBeLessThan(Math.max(...tokens));
  });

  test('no longer takes one for new that it has learned from outcomes, whatever it is told', async () => {
    const router = routerOf();
    const [first] = router.candidates;
    const told = { ids: [first!.id, 'new/one'], share: 0.04 };
    const d = await router.route(ask, { draw: 0, newcomers: told });
    const p = new Map(d.ranked.map(({ model }, i) => [model, d.distribution[i]!]));
    // All of the share is the other's.
    expect(p.get('new/one')).toBeCloseTo(0.04, 12);
  });

  test('answers nothing by a model it knows nothing of for want of others, but goes on with a conversation', async () => {
    const router = routerOf();
    const only = { allowed: ['new/one'], newcomers };
    expect(await failureOf(() => router.route(ask, only))).toMatchObject({
      code: 'NO_CANDIDATE',
      message: expect.stringContaining('unknown_to_artifact (new/one)'),
    });
    const session = { incumbent: 'new/one', prefixTokens: 0, locked: 'tool_loop' as const, sticky: true };
    expect(await router.route(ask, { session })).toMatchObject({ model: 'new/one', reason: 'pinned', propensity: 1 });
    const unlocked = await router.route(ask, { session: { ...session, locked: null } });
    expect(unlocked.model).not.toBe('new/one');
  });

  test.each([{ explore: false }, { critical: true }, { policy: { exploration: 0 } }])(
    'tries nobody where %j',
    async (more) => {
      const d = await routerOf().route(ask, { draw: 0.999999, newcomers, ...more });
      expect(d.filtered).toEqual([{ model: 'new/one', reason: 'unknown_to_artifact' }]);
      expect(d).toMatchObject({ explored: false, explorable: false });
    },
  );

  test.each([-0.1, 1, Number.NaN, '0.5'])('refuses %s as their share', async (share) => {
    const failure = await failureOf(() => routerOf().route(ask, { newcomers: { ids: [], share: share as number } }));
    expect(failure).toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringContaining('newcomers.share') });
  });

  test('knows a model with a row that nobody has tried yet as new, when it is told so', async () => {
    const untried = artifact.heads.modelIds.find((_, j) => artifact.heads.evidence[j] === 0)!;
    expect(selectHeads(artifact.heads, [untried]).evidence).toEqual(Float64Array.of(0));
    const router = routerOf([[untried, { inputUsdPerMTok: 900, outputUsdPerMTok: 900 }]]);
    const d = await router.route(ask, {
      draw: 0,
      newcomers: { ids: [untried], share: 0.04 },
      policy: { tolerance: 1 },
    });
    const at = d.ranked.findIndex(({ model }) => model === untried);
    expect(d.distribution[at]).toBeCloseTo(0.04, 12);
  });
});
