/** The rule that turns predictions and prices into a choice: worked by hand, and for any input. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FilterReason } from '../../router/decision.ts';
import type { Candidate } from '../../router/index.ts';
import { type CandidatePrediction, decide, expectedCostUsd, filterCandidate } from '../../router/policy/decide.ts';
import { Policy } from '../../router/policy/policy.ts';
import type { Session } from '../../router/policy/session.ts';
import { candidateOf, factsOf } from './fixtures.ts';

/** A candidate of this quality whose call costs this many USD: all of it output, 1 000 tokens, no input. */
const option = (id: string, quality: number, costUsd: number, meanQuality = quality): CandidatePrediction => ({
  candidate: candidateOf(`x/${id}`, { inputUsdPerMTok: 0, outputUsdPerMTok: costUsd * 1000 }),
  like: `like/${id}`,
  quality,
  qualitySd: 0.1,
  meanQuality,
  outputTokens: 1000,
});
const knobs = (more: Partial<Policy> = {}): Policy => Policy.parse({ tolerance: 0.1, ...more });
const facts = factsOf();
const THREE = [option('small', 0.6, 0.001), option('mid', 0.75, 0.01), option('big', 0.8, 0.1)];

describe('decide', () => {
  test('takes the cheapest within the tolerance of the best', () => {
    // best 0.8, floor 0.7: mid and big are adequate, mid is cheaper.
    const d = decide(THREE, facts, knobs(), 0, 0.5);
    expect(d).toMatchObject({ model: 'x/mid', reason: 'cheapest_adequate', propensity: 1, explored: false });
    expect(d.floor).toBeCloseTo(0.7, 12);
    expect(d.ranked.map((r) => [r.model, r.adequate])).toEqual([
      ['x/mid', true],
      ['x/big', true],
      ['x/small', false],
    ]);
    expect(d.ranked[0]).toMatchObject({ like: 'like/mid', quality: 0.75, qualitySd: 0.1, outputTokens: 1000 });
    expect(d.ranked[0]!.costUsd).toBeCloseTo(0.01, 12);
    expect(d.distribution).toEqual([1, 0, 0]);
  });

  test.each([
    [0, 'x/big'],
    [0.04, 'x/big'],
    [0.1, 'x/mid'],
    [0.25, 'x/small'],
    [1, 'x/small'],
  ])('with tolerance %s takes %s', (tolerance, model) => {
    expect(decide(THREE, facts, knobs({ tolerance }), 0, 0).model).toBe(model);
  });

  test('holds to the least quality wanted where that is above the tolerance', () => {
    // floor = max(0.78, 0.8 − 0.1): only big reaches it.
    const d = decide(THREE, facts, knobs({ minQuality: 0.78 }), 0, 0);
    expect(d).toMatchObject({ model: 'x/big', reason: 'cheapest_adequate', floor: 0.78 });
  });

  test('does its best, and says so, where nothing reaches the least quality wanted', () => {
    const d = decide(THREE, facts, knobs({ minQuality: 0.95 }), 0, 0);
    expect(d).toMatchObject({ model: 'x/big', reason: 'best_effort', floor: 0.95 });
    expect(d.ranked.map((r) => r.model)).toEqual(['x/big', 'x/mid', 'x/small']);
    expect(d.ranked.some((r) => r.adequate)).toBe(false);
  });

  test.each([
    [{ minQuality: 0.95 }, 'best_effort'],
    [{}, 'cheapest_adequate'],
  ])('takes the cheaper of two that are predicted alike, as two hosts of one model are (%o)', (more, reason) => {
    const twins = [option('a-dear', 0.8, 0.1), option('b-cheap', 0.8, 0.05)];
    expect(decide(twins, facts, knobs(more), 0, 0)).toMatchObject({ model: 'x/b-cheap', reason });
    // As fall-backs of something else too.
    const order = decide([...twins, option('best', 1, 0.0001)], facts, knobs(), 0, 0).ranked.map((r) => r.model);
    expect(order).toEqual(['x/best', 'x/b-cheap', 'x/a-dear']);
  });

  test('weighs quality against money where a rate is given', () => {
    // utilities at 2 per USD: mid 0.75 − 0.02 = 0.73, big 0.8 − 0.2 = 0.6; at 0.5: mid 0.745, big 0.75.
    expect(decide(THREE, facts, knobs({ qualityPerUsd: 2 }), 0, 0).model).toBe('x/mid');
    expect(decide(THREE, facts, knobs({ qualityPerUsd: 0.5 }), 0, 0).model).toBe('x/big');
    // At 0 money is nothing: the best one.
    expect(decide(THREE, facts, knobs({ qualityPerUsd: 0 }), 0, 0).model).toBe('x/big');
  });

  test('abstains to the default model on a prompt unlike the training data', () => {
    const policy = knobs({ maxOutOfDomain: 0.8, defaultModel: 'x/small' });
    expect(decide(THREE, facts, policy, 0.8, 0)).toMatchObject({ model: 'x/mid', reason: 'cheapest_adequate' });
    expect(decide(THREE, facts, policy, 0.81, 0)).toMatchObject({ model: 'x/small', reason: 'abstained' });
  });

  test.each([null, 'x/filtered-out'])(
    'abstains to what the same rule makes of mean qualities where the default model is %s',
    (defaultModel) => {
      // Forecasts say big by far; by their means small is 0.65, mid 0.62, big 0.7: all within 0.1, small is cheapest.
      const far = [option('small', 0.1, 0.001, 0.65), option('mid', 0.2, 0.01, 0.62), option('big', 0.9, 0.1, 0.7)];
      const choose = (more: Partial<Policy>) =>
        decide(far, facts, knobs({ maxOutOfDomain: 0.8, defaultModel, ...more }), 0.9, 0);
      const d = choose({});
      expect(d).toMatchObject({ model: 'x/small', reason: 'abstained', propensity: 1 });
      // Fall-backs by price: mid, then big.
      expect(d.ranked.map((r) => r.quality)).toEqual([0.65, 0.62, 0.7]);
      expect(d.floor).toBeCloseTo(0.6, 12);
      // The knobs mean there what they mean elsewhere.
      expect(choose({ dial: 10 }).model).toBe('x/big');
      expect(choose({ minQuality: 0.68 }).model).toBe('x/big');
      expect(choose({ tolerance: 0.06 }).model).toBe('x/small');
      // A target keeps its share of the means, whatever tolerance was solved for forecasts: 0.9 of 0.7 is 0.63, of mid's 0.62 0.558.
      const solved = { mix: [{ tolerance: 0.3, share: 1 }] };
      const keep = (target: Policy['target']) =>
        decide(far, facts, knobs({ maxOutOfDomain: 0.8, defaultModel, target }), 0.9, 0, solved).model;
      expect(keep({ keep: 0.98 })).toBe('x/big');
      expect(keep({ keep: 0.9 })).toBe('x/small');
      expect(keep({ keep: 1, reference: 'x/small' })).toBe('x/small');
    },
  );

  test('says when there was no choice', () => {
    const d = decide([THREE[0]!], facts, knobs({ exploration: 0.5, minQuality: 0.9 }), 1, 0.99);
    expect(d).toMatchObject({ model: 'x/small', reason: 'only_candidate', propensity: 1, distribution: [1] });
  });

  test('refuses an empty choice', () => {
    expect(() => decide([], facts, knobs(), 0, 0)).toThrow(expect.objectContaining({ code: 'NO_CANDIDATE' }));
  });

  test('explores among those within twice the tolerance, and keeps the exact probabilities', () => {
    // 0.65 is above 0.8 − 2 · 0.1: all three are near. 0.3 spread over three: mid 0.7 + 0.1, big 0.1, small 0.1.
    const near = [option('small', 0.65, 0.001), ...THREE.slice(1)];
    const policy = knobs({ exploration: 0.3 });
    const greedy = decide(near, facts, policy, 0, 0);
    expect(greedy).toMatchObject({ model: 'x/mid', reason: 'cheapest_adequate', explored: false });
    expect(greedy.propensity).toBeCloseTo(0.8, 12);
    const second = decide(near, facts, policy, 0, 0.85);
    expect(second).toMatchObject({ model: 'x/big', reason: 'explored', explored: true });
    expect(second.propensity).toBeCloseTo(0.1, 12);
    expect(second.ranked.map((r) => r.model)).toEqual(['x/big', 'x/mid', 'x/small']);
    const third = decide(near, facts, policy, 0, 0.999);
    expect(third.model).toBe('x/small');
    third.distribution.forEach((p, i) => {
      expect(p).toBeCloseTo([0.1, 0.8, 0.1][i]!, 12);
    });
  });

  test('explores what looks clearly worse a tenth as much, all candidates together', () => {
    // near (above 0.8 − 2 · 0.1): small, mid and big. 0.4 explored: 0.36 over these three, 0.04 over all four.
    const far = [option('small', 0.65, 0.001), ...THREE.slice(1), option('hopeless', 0.5, 0.000001)];
    const d = decide(far, facts, knobs({ exploration: 0.4 }), 0, 0.9999);
    expect(d).toMatchObject({ model: 'x/hopeless', reason: 'explored' });
    const p = new Map(d.ranked.map((r, i) => [r.model, d.distribution[i]!]));
    expect(p.get('x/hopeless')).toBeCloseTo(0.01, 12);
    expect(p.get('x/small')).toBeCloseTo(0.13, 12);
    expect(p.get('x/big')).toBeCloseTo(0.13, 12);
    expect(p.get('x/mid')).toBeCloseTo(0.73, 12);
  });

  test('lets a draw decide between candidates that nothing tells apart, and says how likely each was', () => {
    const twins = [option('a', 0.8, 0.05), option('b', 0.8, 0.05), option('c', 0.8, 0.06)];
    const first = decide(twins, facts, knobs(), 0, 0.49);
    const second = decide(twins, facts, knobs(), 0, 0.51);
    expect([first.model, second.model]).toEqual(['x/a', 'x/b']);
    expect([first.distribution, second.distribution]).toEqual([
      [0.5, 0.5, 0],
      [0.5, 0.5, 0],
    ]);
    expect([first.explored, second.explored]).toEqual([false, false]);
  });

  test('mixes two settings as often as told, and keeps the probability of both draws together', () => {
    // Tolerance 0 takes big, 0.1 takes mid; a quarter of the first. No exploration.
    const mix = [
      { tolerance: 0, share: 0.25 },
      { tolerance: 0.1, share: 0.75 },
    ];
    const d = decide(THREE, facts, knobs(), 0, 0.2, { mix });
    expect(d).toMatchObject({ model: 'x/big', propensity: 0.25, explored: false, floor: 0.8 });
    const other = decide(THREE, facts, knobs(), 0, 0.3, { mix });
    expect(other).toMatchObject({ model: 'x/mid', propensity: 0.75, explored: false });
    expect(other.ranked.map((r) => r.model)).toEqual(['x/mid', 'x/big', 'x/small']);
    // With exploration 0.4: 0 is near to big alone, 0.1 to all. big 0.25 (0.6 + 0.36) + 0.75 · 0.12 + 0.04 / 3.
    const p = decide([option('small', 0.65, 0.001), ...THREE.slice(1)], facts, knobs({ exploration: 0.4 }), 0, 0, {
      mix,
    });
    expect(p.model).toBe('x/big');
    expect(p.propensity).toBeCloseTo(0.25 * 0.96 + 0.75 * 0.12 + 0.04 / 3, 12);
  });

  test('leaves nothing to chance where the request is critical', () => {
    const mix = [
      { tolerance: 0, share: 0.25 },
      { tolerance: 0.1, share: 0.75 },
    ];
    for (const draw of [0, 0.5, 0.99]) {
      const d = decide(THREE, facts, knobs({ exploration: 0.5 }), 0, draw, { mix, critical: true });
      expect(d).toMatchObject({ model: 'x/big', propensity: 1, explored: false, reason: 'cheapest_adequate' });
      expect(d.distribution).toEqual([1, 0, 0]);
    }
    const twins = [option('b', 0.8, 0.05), option('a', 0.8, 0.05)];
    expect(decide(twins, facts, knobs(), 0, 0.99, { critical: true })).toMatchObject({ model: 'x/a', propensity: 1 });
  });
});

describe('decide, where an agent plans', () => {
  test('holds to the higher floor, and only there', () => {
    // Without it mid wins (floor 0.7); with 0.78 only big reaches it.
    const policy = knobs({ planMinQuality: 0.78 });
    expect(decide(THREE, factsOf({ step: 'plan' }), policy, 0, 0)).toMatchObject({ model: 'x/big', floor: 0.78 });
    for (const step of ['act', 'summarise', 'subagent'] as const) {
      expect(decide(THREE, factsOf({ step }), policy, 0, 0).model).toBe('x/mid');
    }
    expect(decide(THREE, facts, policy, 0, 0).model).toBe('x/mid');
    const lower = knobs({ planMinQuality: 0.1, minQuality: 0.78 });
    expect(decide(THREE, factsOf({ step: 'plan' }), lower, 0, 0).floor).toBe(0.78);
  });
});

describe('decide, in a session', () => {
  /** Two models that are equally good: `old` has the conversation, `new` is cheaper by the token. USD per million. */
  const OLD = candidateOf('x/old', {
    inputUsdPerMTok: 3,
    outputUsdPerMTok: 0,
    cachedInputUsdPerMTok: 0.3,
    cacheWriteUsdPerMTok: 3.75,
  });
  const NEW = candidateOf('x/new', { inputUsdPerMTok: 1, outputUsdPerMTok: 0, cacheWriteUsdPerMTok: 1.25 });
  const two = [OLD, NEW].map((candidate) => ({ ...option('', 0.8, 0), candidate }));
  const session = (more: Partial<Session> = {}): Session => ({
    incumbent: 'x/old',
    prefixTokens: 9000,
    locked: null,
    sticky: true,
    ...more,
  });
  const long = factsOf({ inputTokens: 10_000 });
  const choose = (s: Session | undefined, policy = knobs()) => decide(two, long, policy, 0, 0, { session: s });
  const costs = (s: Session | undefined) => Object.fromEntries(choose(s).ranked.map((r) => [r.model, r.costUsd]));

  test('stays where the cached prefix makes that cheaper, and says so', () => {
    // Without: 10 000 × 3 = 0.03 against 10 000 × 1 = 0.01.
    expect(choose(undefined)).toMatchObject({ model: 'x/new', reason: 'cheapest_adequate' });
    // With: 9 000 × 0.3 + 1 000 × 3.75 = 0.00645 against 10 000 × 1.25 = 0.0125.
    expect(choose(session())).toMatchObject({ model: 'x/old', reason: 'sticky', propensity: 1 });
    expect(costs(session())['x/old']).toBeCloseTo(0.00645, 12);
    expect(costs(session())['x/new']).toBeCloseTo(0.0125, 12);
  });

  test('leaves where the prefix is too short to pay for staying', () => {
    // 2 000 × 0.3 + 8 000 × 3.75 = 0.0306 against 0.0125
    expect(choose(session({ prefixTokens: 2000 }))).toMatchObject({ model: 'x/new', reason: 'cheapest_adequate' });
    expect(costs(session({ prefixTokens: 2000 }))['x/old']).toBeCloseTo(0.0306, 12);
  });

  test('reckons with no more of a prefix than there is input', () => {
    expect(costs(session({ prefixTokens: 1e6 }))['x/old']).toBeCloseTo(0.003, 12); // 10 000 × 0.3
  });

  test('reckons at list prices where nothing is cached, or the session is not sticky', () => {
    for (const s of [session({ prefixTokens: 0 }), session({ sticky: false })]) {
      expect(costs(s)['x/old']).toBeCloseTo(0.03, 12);
      expect(costs(s)['x/new']).toBeCloseTo(0.01, 12);
      expect(choose(s)).toMatchObject({ model: 'x/new', reason: 'cheapest_adequate' });
    }
  });

  test('does not call sticky what would have won anyway', () => {
    expect(choose(session({ incumbent: 'x/new' }))).toMatchObject({ model: 'x/new', reason: 'cheapest_adequate' });
  });

  test.each(['tool_loop', 'thinking', 'encrypted_reasoning', 'held_object'] as const)(
    'keeps its model while it is locked by %s, whatever it costs; the others are fall-backs',
    (locked) => {
      const s = session({ locked, sticky: false });
      const d = choose(s, knobs({ exploration: 0.5 }));
      expect(d).toMatchObject({ model: 'x/old', reason: 'pinned', propensity: 1, explored: false });
      expect(d.ranked.map((r) => r.model)).toEqual(['x/old', 'x/new']);
      expect(d.distribution).toEqual([1, 0]);
      expect(decide(two.slice(0, 1), long, knobs(), 0, 0, { session: s }).reason).toBe('pinned');
      expect(decide(two, long, knobs(), 0, 0, { session: s, critical: true }).reason).toBe('pinned');
    },
  );

  test('decides as ever where the locked model cannot be called', () => {
    const s = session({ locked: 'tool_loop' });
    expect(decide(two.slice(1), long, knobs(), 0, 0, { session: s })).toMatchObject({
      model: 'x/new',
      reason: 'only_candidate',
    });
  });

  test('explores nothing after its first turn', () => {
    const policy = knobs({ exploration: 1 });
    expect(decide(two, long, policy, 0, 0.999).propensity).toBeLessThan(1);
    for (const draw of [0, 0.5, 0.999]) {
      expect(decide(two, long, policy, 0, draw, { session: session() })).toMatchObject({
        explored: false,
        propensity: 1,
      });
    }
  });
});

describe('decide, for any input', () => {
  const unit = fc.double({ min: 0, max: 1, noNaN: true });
  const cents = fc.double({ min: 1e-7, max: 1, noNaN: true });
  // Round numbers too, so that candidates tie.
  const options = fc
    .array(fc.tuple(fc.oneof(unit, fc.constantFrom(0.5, 0.7)), fc.oneof(cents, fc.constantFrom(0.01, 0.02))), {
      minLength: 1,
      maxLength: 8,
    })
    .map((list) => list.map(([q, c], i) => option(`m${i}`, q, c)));
  const policies = fc
    .record({
      tolerance: unit,
      minQuality: unit,
      exploration: unit,
      maxOutOfDomain: unit,
      qualityPerUsd: fc.option(fc.double({ min: 0, max: 100, noNaN: true })),
      dial: fc.option(fc.double({ min: 0, max: 10, noNaN: true })),
      defaultModel: fc.option(fc.constantFrom('x/m0', 'x/m3', 'x/none')),
    })
    .map((more) => knobs(more));
  const mixes = fc
    .tuple(unit, unit, fc.double({ min: 0.01, max: 0.99, noNaN: true }), fc.boolean())
    .map(([a, b, share, two]) =>
      two
        ? [
            { tolerance: Math.min(a, b), share },
            { tolerance: Math.max(a, b), share: 1 - share },
          ]
        : [{ tolerance: a, share: 1 }],
    );
  const draws = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  test('is a distribution, drawn from exactly, over every candidate once', () => {
    fc.assert(
      fc.property(options, policies, unit, draws, mixes, (list, policy, ood, draw, mix) => {
        const d = decide(list, facts, policy, ood, draw, { mix });
        expect(Math.abs(d.distribution.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-12);
        // Nobody capable is left without a chance.
        const least = policy.exploration / (10 * list.length);
        expect(Math.min(...d.distribution)).toBeGreaterThanOrEqual(least * (1 - 1e-9) - 1e-300);
        expect(d.ranked[0]!.model).toBe(d.model);
        expect(d.distribution[0]).toBe(d.propensity);
        expect(d.propensity).toBeGreaterThan(0);
        expect(d.ranked.map((r) => r.model).sort()).toEqual(list.map((p) => p.candidate.id).sort());
        expect(d.explored).toBe(d.reason === 'explored');
        // The draw decides what is taken, not how likely each was.
        const other = decide(list, facts, policy, ood, (draw + 0.37) % 1, { mix });
        const p = new Map(other.ranked.map((r, i) => [r.model, other.distribution[i]]));
        d.ranked.forEach((r, i) => {
          expect(d.distribution[i]).toBe(p.get(r.model));
        });
      }),
      { numRuns: 500, seed: 4 },
    );
  });

  const sessions = fc.record({
    incumbent: fc.constantFrom('x/m0', 'x/m1', 'x/none'),
    prefixTokens: fc.integer({ min: 0, max: 5000 }),
    locked: fc.constantFrom(null, 'tool_loop' as const, 'thinking' as const),
    sticky: fc.boolean(),
  });

  test('is a distribution in a session too, all on the model where that is locked', () => {
    fc.assert(
      fc.property(options, policies, unit, draws, mixes, sessions, (list, policy, ood, draw, mix, session) => {
        const priced = list.map((o, i) => ({
          ...o,
          candidate: { ...o.candidate, inputUsdPerMTok: i, cachedInputUsdPerMTok: i / 10, cacheWriteUsdPerMTok: 2 * i },
        }));
        const d = decide(priced, facts, policy, ood, draw, { mix, session });
        expect(Math.abs(d.distribution.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-12);
        expect(d.distribution[0]).toBe(d.propensity);
        expect(d.propensity).toBeGreaterThan(0);
        expect(d.ranked.map((r) => r.model).sort()).toEqual(list.map((p) => p.candidate.id).sort());
        expect(d.explored).toBe(false);
        const isPinned = session.locked !== null && list.some((p) => p.candidate.id === session.incumbent);
        expect(d.reason === 'pinned').toBe(isPinned);
        if (isPinned) expect([d.model, d.propensity]).toEqual([session.incumbent, 1]);
        if (d.reason === 'sticky') expect(d.model).toBe(session.incumbent);
        // The draw decides what is taken, not how likely each was.
        const other = decide(priced, facts, policy, ood, (draw + 0.37) % 1, { mix, session });
        const p = new Map(other.ranked.map((r, i) => [r.model, other.distribution[i]]));
        d.ranked.forEach((r, i) => {
          expect(d.distribution[i]).toBe(p.get(r.model));
        });
      }),
      { numRuns: 500, seed: 11 },
    );
  });

  test('draws each candidate as often as it says', () => {
    fc.assert(
      fc.property(options, policies, unit, mixes, (list, policy, ood, mix) => {
        const steps = 2000; // evenly spaced draws: each frequency is exact to one step a candidate and setting
        const counts = new Map<string, number>();
        let said = new Map<string, number>();
        for (let s = 0; s < steps; s++) {
          const d = decide(list, facts, policy, ood, (s + 0.5) / steps, { mix });
          counts.set(d.model, (counts.get(d.model) ?? 0) + 1);
          if (s === 0) said = new Map(d.ranked.map((r, i) => [r.model, d.distribution[i]!]));
        }
        for (const [model, p] of said)
          expect(Math.abs((counts.get(model) ?? 0) / steps - p)).toBeLessThan((mix.length + 0.01) / steps);
      }),
      { numRuns: 30, seed: 5 },
    );
  });

  test('does not depend on the order in which candidates are given', () => {
    fc.assert(
      fc.property(options, policies, unit, draws, (list, policy, ood, draw) => {
        const a = decide(list, facts, policy, ood, draw);
        expect(decide([...list].reverse(), facts, policy, ood, draw)).toEqual(a);
      }),
      { numRuns: 300, seed: 6 },
    );
  });

  test('is not moved by one more candidate that is dear and inadequate', () => {
    fc.assert(
      fc.property(options, policies, (list, policy) => {
        const before = decide(list, facts, { ...policy, exploration: 0 }, 0, 0);
        const worst = Math.min(before.floor, ...list.map((p) => p.quality)) - 0.01;
        const after = decide([...list, option('m9', worst, 2)], facts, { ...policy, exploration: 0 }, 0, 0);
        expect(after.model).toBe(before.model);
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  test('never gets dearer as the tolerance is raised', () => {
    fc.assert(
      fc.property(options, unit, unit, unit, (list, a, b, minQuality) => {
        const cost = (tolerance: number): number =>
          decide(list, facts, knobs({ tolerance, minQuality }), 0, 0).ranked[0]!.costUsd;
        expect(cost(Math.max(a, b))).toBeLessThanOrEqual(cost(Math.min(a, b)) + 1e-12);
      }),
      { numRuns: 500, seed: 8 },
    );
  });

  test('never takes a model of lower predicted quality as the dial is raised, in or out of domain', () => {
    const dials = fc.double({ min: 0, max: 10, noNaN: true });
    fc.assert(
      fc.property(options, policies, dials, dials, unit, (list, policy, a, b, ood) => {
        const quality = (dial: number): number =>
          decide(list, facts, { ...policy, defaultModel: null, dial }, ood, 0).ranked[0]!.quality;
        expect(quality(Math.max(a, b))).toBeGreaterThanOrEqual(quality(Math.min(a, b)) - 1e-12);
      }),
      { numRuns: 1000, seed: 10 },
    );
  });

  test('never takes one that another beats on quality and on price', () => {
    fc.assert(
      fc.property(options, policies, (list, policy) => {
        const { ranked } = decide(list, facts, { ...policy, exploration: 0 }, 0, 0);
        const [chosen, ...others] = ranked;
        // To within what counts as a tie.
        const beats = (o: typeof chosen) =>
          o!.quality > chosen!.quality + 1e-12 && o!.costUsd < chosen!.costUsd - 1e-12;
        expect(others.some(beats)).toBe(false);
      }),
      { numRuns: 500, seed: 9 },
    );
  });
});

describe('filterCandidate', () => {
  const plain = candidateOf('x/plain', { contextTokens: 8000, maxOutputTokens: 1000 });
  const cases: [string, Partial<Parameters<typeof factsOf>[0]>, Partial<Candidate>, FilterReason | null][] = [
    ['what fits', {}, {}, null],
    ['a prompt of exactly the context', { inputTokens: 8000 }, {}, null],
    ['a prompt beyond the context', { inputTokens: 8001 }, {}, 'context_too_small'],
    ['a prompt and an answer beyond the context', { inputTokens: 7500, maxOutputTokens: 501 }, {}, 'context_too_small'],
    ['an answer longer than it can give', { maxOutputTokens: 1001 }, {}, 'output_too_small'],
    ['an answer of just that length', { maxOutputTokens: 1000 }, {}, null],
    ['images, blind', { images: 1 }, {}, 'no_image_input'],
    ['images, sighted', { images: 1 }, { inputModalities: ['text', 'image'] }, null],
    ['audio, deaf', { audio: 1 }, { inputModalities: ['text', 'image'] }, 'no_audio_input'],
    ['images that were answered, blind', { imagesInHistory: 2, audioInHistory: 1, filesInHistory: 1 }, {}, null],
    ['a file, without', { files: 1 }, { inputModalities: ['text', 'image'] }, 'no_file_input'],
    ['a file, with', { files: 1 }, { inputModalities: ['text', 'pdf'] }, null],
    ['tools, without', { tools: 2 }, { tools: false }, 'no_tools'],
    ['a schema, without', { responseSchema: true }, { structuredOutput: false }, 'no_structured_output'],
    ['no tools asked of one without', {}, { tools: false, structuredOutput: false }, null],
  ];
  test.each(cases)('%s', (_, needs, has, reason) => {
    expect(filterCandidate({ ...plain, ...has }, factsOf(needs))).toBe(reason);
  });

  test('leaves the length of the answer open where neither side limits it', () => {
    const { maxOutputTokens: _none, ...open } = plain;
    expect(filterCandidate(open, factsOf({ maxOutputTokens: 5000 }))).toBeNull();
  });
});

describe('expectedCostUsd', () => {
  const c = candidateOf('x/c', { inputUsdPerMTok: 3, outputUsdPerMTok: 15 });
  test('is tokens times list prices', () => {
    // 1 000 × 3 + 200 × 15 = 6 000 per million
    expect(expectedCostUsd(c, factsOf({ inputTokens: 1000 }), 200)).toBeCloseTo(0.006, 12);
  });
  test('counts no more output than the client allows', () => {
    // 1 000 × 3 + 50 × 15 = 3 750
    expect(expectedCostUsd(c, factsOf({ inputTokens: 1000, maxOutputTokens: 50 }), 200)).toBeCloseTo(0.00375, 12);
    expect(expectedCostUsd(c, factsOf({ inputTokens: 1000, maxOutputTokens: 500 }), 200)).toBeCloseTo(0.006, 12);
  });
  test('is at the prices of a long prompt where it is one', () => {
    const long = [{ aboveInputTokens: 1000, inputUsdPerMTok: 6, outputUsdPerMTok: 30 }];
    const c2 = { ...c, longPromptPrices: long };
    expect(expectedCostUsd(c2, factsOf({ inputTokens: 1000 }), 200)).toBeCloseTo(0.006, 12);
    // 1 001 × 6 + 200 × 30 = 12 006
    expect(expectedCostUsd(c2, factsOf({ inputTokens: 1001 }), 200)).toBeCloseTo(0.012006, 12);
  });
});
