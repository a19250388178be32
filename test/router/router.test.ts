/** The library as a user meets it: the shipped artifact and catalog, requests in, decisions out. */
import { beforeAll, describe, expect, test } from 'vitest';
import { type Artifact, loadArtifact } from '../../router/artifact/artifact.ts';
import { createRouter, type Decision, FILTERS, Policy, REASONS, Router, type Session } from '../../router/index.ts';
import { processorMs } from '../processor-time.ts';
import { candidateOf, failureOf, generatedTexts } from './fixtures.ts';

let router: Router;
let artifact: Artifact;
beforeAll(async () => {
  router = await Router.load();
  artifact = await loadArtifact();
});

const ask = (content: string) => ({ messages: [{ role: 'user', content }] });
const HELLO = ask('What is the capital of France?');
const IMAGE = { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] };

/** A decision that compares by value. */
const withoutBuffers = (d: Decision) => ({ ...d, embedding: [...d.embedding] });

describe('a decision', () => {
  test('carries all that is needed to explain it and to judge it later', async () => {
    const d = await router.route(HELLO, { draw: 0 });
    const ids = router.candidates.map((c) => c.id);
    expect(ids).toContain(d.model);
    expect([...d.ranked.map((r) => r.model), ...d.filtered.map((f) => f.model)].sort()).toEqual([...ids].sort());
    expect(d.ranked[0]!.model).toBe(d.model);
    expect(d.distribution).toHaveLength(d.ranked.length);
    expect(d.distribution.reduce((a, b) => a + b)).toBeCloseTo(1, 9);
    expect(d.propensity).toBe(d.distribution[0]);
    expect(d.artifact).toBe(router.artifactHash);
    expect(d.encoderId).toBe(router.encoderId);
    expect(d.embedding).toHaveLength(artifact.encoder.dimension);
    expect(d.outOfDomain).toBeGreaterThanOrEqual(0);
    expect(d.outOfDomain).toBeLessThan(1);
    for (const r of d.ranked) {
      expect(r.quality).toBeGreaterThan(0);
      expect(r.quality).toBeLessThan(1);
      expect(r.qualitySd).toBeGreaterThanOrEqual(0);
      expect(r.qualitySd).toBeLessThanOrEqual(0.5);
      expect(r.outputTokens).toBeGreaterThanOrEqual(1);
      expect(r.costUsd).toBeGreaterThan(0);
      expect(r.adequate).toBe(r.quality >= d.floor);
      expect(artifact.heads.modelIds).toContain(r.like);
    }
    // The shipped policy: the cheapest of the adequate ones.
    const adequate = d.ranked.filter((r) => r.adequate);
    expect(d.reason).toBe('cheapest_adequate');
    expect(d.ranked[0]!.costUsd).toBe(Math.min(...adequate.map((r) => r.costUsd)));
  });

  test.each([1, -0.1, 2, Number.NaN, Number.POSITIVE_INFINITY, '0.5'])('refuses %s as a draw', async (draw) => {
    const failure = await failureOf(() => router.route(HELLO, { draw: draw as number }));
    expect(failure.code).toBe('INVALID_CONFIG');
    expect(failure.message).toContain('draw');
  });

  test('is decided by the draw, and only by it', async () => {
    const draws = [0, 0.3, 0.97, 0.985, 0.9999];
    const first = await Promise.all(draws.map((draw) => router.route(HELLO, { draw })));
    const again = await Promise.all(draws.map((draw) => router.route(HELLO, { draw })));
    expect(again.map(withoutBuffers)).toEqual(first.map(withoutBuffers));
    expect(first[0]!.explored).toBe(false);
    expect(first[4]!.explored).toBe(true);
    expect(first[4]!.model).not.toBe(first[0]!.model);
  });

  test('tells the tolerance it was made with, and whether the artifact’s certificate covers it', async () => {
    const d = await router.route(HELLO, { draw: 0, policy: { dial: 10 } });
    expect(d.mix).toEqual([{ tolerance: 0, share: 1 }]);
    expect(d.ranked[0]!.quality).toBe(Math.max(...d.ranked.map((r) => r.quality)));
    expect(d.certificate).toMatchObject({ holds: false, reason: expect.any(String) });
    expect(router.certificate(null)).toMatchObject({ reason: expect.any(String) });
  });

  test('leaves nothing to chance where the request is critical, and marks it for the log', async () => {
    const policy = { exploration: 1 };
    const decisions = await Promise.all(
      [0, 0.5, 0.999].map((draw) => router.route(HELLO, { draw, policy, critical: true })),
    );
    for (const d of decisions) {
      expect(d).toMatchObject({
        model: decisions[0]!.model,
        propensity: 1,
        explored: false,
        facts: { critical: true },
      });
    }
    expect((await router.route(HELLO)).facts).not.toHaveProperty('critical');
  });

  test('gives every candidate a chance where the policy explores', async () => {
    const d = await router.route(HELLO, { draw: 0, policy: { exploration: 0.02 } });
    expect(Math.min(...d.distribution)).toBeGreaterThanOrEqual((0.1 * 0.02) / d.ranked.length - 1e-15);
  });

  test('is the same among 50 at once as one after the other', async () => {
    const requests = generatedTexts(50, 21).map(ask);
    const together = await Promise.all(requests.map((r) => router.route(r, { draw: 0.5 })));
    for (const [i, request] of requests.entries()) {
      expect(withoutBuffers(await router.route(request, { draw: 0.5 }))).toEqual(withoutBuffers(together[i]!));
    }
  });

  test('without a draw explores about as often as the policy says', async () => {
    const policy = { exploration: 0.5, tolerance: 0.2 };
    const decisions = await Promise.all(Array.from({ length: 400 }, () => router.route(HELLO, { policy })));
    // Candidates of equal utility share what is not explored.
    const taken = new Map(decisions.filter((d) => !d.explored).map((d) => [d.model, d.propensity]));
    const expected = 1 - [...taken.values()].reduce((sum, p) => sum + p, 0);
    const share = decisions.filter((d) => d.explored).length / 400;
    // Five standard errors of a share near 0.5 over 400.
    expect(Math.abs(share - expected)).toBeLessThan(0.125);
  });
});

describe('a session', () => {
  const session = (incumbent: string, more: Partial<Session> = {}): Session => ({
    incumbent,
    prefixTokens: 50_000,
    locked: null,
    sticky: true,
    ...more,
  });
  const LONG = ask('word '.repeat(50_000)); // 62 500 tokens

  test('keeps a locked model while it can be called, and says that no certificate speaks of that', async () => {
    const dear = 'anthropic/claude-opus-5-5';
    const locked = session(dear, { locked: 'thinking' });
    const d = await router.route(HELLO, { session: locked, policy: { exploration: 1 } });
    expect(d).toMatchObject({ model: dear, reason: 'pinned', propensity: 1, explored: false });
    expect(d.certificate.holds).toBe(false);
    expect(d.ranked.length).toBe(router.candidates.length);
    const gone = await router.route(HELLO, { session: locked, unhealthy: [dear] });
    expect(gone.model).not.toBe(dear);
    expect(gone.reason).not.toBe('pinned');
  });

  test('is left only for what that costs', async () => {
    const first = await router.route(LONG, { draw: 0 });
    const adequate = first.ranked.filter((r) => r.adequate && r.model !== first.model);
    const incumbent = adequate.find((r) => {
      const c = router.candidates.find(({ id }) => id === r.model)!;
      return (c.cachedInputUsdPerMTok ?? c.inputUsdPerMTok) < c.inputUsdPerMTok;
    })!.model;
    const stays = await router.route(LONG, { draw: 0, session: session(incumbent, { prefixTokens: 62_000 }) });
    const before = first.ranked.find((r) => r.model === incumbent)!.costUsd;
    expect(stays.ranked.find((r) => r.model === incumbent)!.costUsd).toBeLessThan(before);
    const cheapest = stays.ranked.filter((r) => r.adequate).reduce((a, b) => (a.costUsd <= b.costUsd ? a : b));
    expect(stays.model).toBe(cheapest.model);
    expect(stays.reason).toBe(stays.model === incumbent ? 'sticky' : 'cheapest_adequate');
  });

  test.each([
    ['incumbent', { incumbent: '' }],
    ['prefixTokens', { prefixTokens: -1 }],
    ['prefixTokens', { prefixTokens: Number.NaN }],
    ['locked', { locked: 'because' }],
    ['sticky', { sticky: 'yes' }],
  ])('with a wrong %s is refused by name: %o', async (field, more) => {
    const failure = await failureOf(() => router.route(HELLO, { session: session('x/a', more as never) }));
    expect(failure.code).toBe('INVALID_CONFIG');
    expect(failure.message).toContain(`session.${field}`);
  });
});

describe('what was predicted of a text', () => {
  test('is remembered, and changes nothing', async () => {
    const plain = createRouter(artifact, router.candidates, artifact.policy, { memo: 0 });
    const small = createRouter(artifact, router.candidates, artifact.policy, { memo: 2 });
    const texts = generatedTexts(6, 22);
    for (const text of [...texts, ...texts.slice(0, 3), texts[2]!, texts[2]!]) {
      const expected = withoutBuffers(await plain.route(ask(text), { draw: 0.5 }));
      expect(withoutBuffers(await small.route(ask(text), { draw: 0.5 }))).toEqual(expected);
      expect(withoutBuffers(await router.route(ask(text), { draw: 0.5 }))).toEqual(expected);
    }
  });

  test('is the caller’s own: what is done to it does not come back', async () => {
    const first = await router.route(HELLO, { draw: 0 });
    const copy = [...first.embedding];
    first.embedding.fill(0);
    expect([...(await router.route(HELLO, { draw: 0 })).embedding]).toEqual(copy);
  });

  test('is computed once for many at a time, and again after a failure', async () => {
    let calls = 0;
    const flaky = {
      ...artifact,
      predict: async (text: string) => {
        if (++calls === 1) throw new Error('once');
        return artifact.predict(text);
      },
    };
    const made = createRouter(flaky, router.candidates, artifact.policy);
    expect((await failureOf(() => made.route(HELLO))).message).toBe('once');
    await Promise.all([made.route(HELLO), made.route(HELLO), made.route(HELLO)]);
    expect(calls).toBe(2);
  });

  test.each([-1, 0.5, Number.NaN])('is remembered of no %s texts', async (memo) => {
    expect(await failureOf(() => Router.load({ memo }))).toMatchObject({ code: 'INVALID_CONFIG' });
  });
});

test('every reason and filter has its sentence', () => {
  for (const sentence of [...Object.values(REASONS), ...Object.values(FILTERS)])
    expect(sentence).toMatch(/^[A-Z].*\.$/);
  expect(Object.keys(REASONS)).toEqual(expect.arrayContaining(['pinned', 'sticky', 'explored']));
});

test('a request is routed in each shape, and where nothing is left its own field is named', async () => {
  const shapes = [
    HELLO,
    { input: 'What is the capital of France?' },
    { system: 'Be brief.', messages: HELLO.messages, max_tokens: 10 },
  ];
  const models = await Promise.all(shapes.map(async (s) => (await router.route(s, { draw: 0 })).model));
  expect(new Set(models).size).toBe(1);
  expect(await failureOf(() => router.route(shapes[1]!, { allowed: [] }))).toMatchObject({ param: 'input' });
  const huge = { input: 'hi', max_output_tokens: 10_000_000 };
  expect(await failureOf(() => router.route(huge))).toMatchObject({ param: 'max_output_tokens' });
  expect((await failureOf(() => router.route(HELLO, { shape: 'messages' }))).message).toContain('max_tokens');
});

describe('the filters', () => {
  test('keep to the models allowed and away from the unhealthy ones, and say so', async () => {
    const [a, b] = router.candidates.map((c) => c.id);
    const d = await router.route(HELLO, { allowed: [a!, b!], unhealthy: [a!] });
    expect(d).toMatchObject({ model: b, reason: 'only_candidate', propensity: 1 });
    const reasons = new Map(d.filtered.map((f) => [f.model, f.reason]));
    expect(reasons.get(a!)).toBe('unhealthy');
    expect(reasons.size).toBe(router.candidates.length - 1);
    expect([...reasons.values()].filter((r) => r === 'not_allowed')).toHaveLength(router.candidates.length - 2);
  });

  test('drop what would cost more than the most allowed', async () => {
    const all = await router.route(HELLO, { draw: 0 });
    const costs = all.ranked.map((r) => r.costUsd).sort((x, y) => x - y);
    const maxCostUsd = costs[Math.floor(costs.length / 2)]!;
    const d = await router.route(HELLO, { draw: 0, policy: { maxCostUsd } });
    expect(Math.max(...d.ranked.map((r) => r.costUsd))).toBeLessThanOrEqual(maxCostUsd);
    const dropped = all.ranked.filter((r) => r.costUsd > maxCostUsd).map((r) => r.model);
    expect(dropped.length).toBeGreaterThan(0);
    expect(d.filtered.filter((f) => f.reason === 'over_max_cost').map((f) => f.model)).toEqual(
      expect.arrayContaining(dropped),
    );
  });

  test('keep images from models that cannot see', async () => {
    const d = await router.route(IMAGE);
    const sighted = router.candidates.filter((c) => c.inputModalities.includes('image')).map((c) => c.id);
    expect(sighted).toContain(d.model);
    expect(d.ranked.map((r) => r.model).sort()).toEqual([...sighted].sort());
  });

  test('name every reason, and the contexts, where nothing is left', async () => {
    const small = await Router.load({
      candidates: [
        candidateOf('x/a', { like: artifact.heads.modelIds[0]!, contextTokens: 1000 }),
        candidateOf('x/b', { like: 'nobody/knows' }),
        candidateOf('x/c'),
      ],
    });
    const failure = await failureOf(() => small.route(ask('word '.repeat(4000)), { unhealthy: ['x/c'] }));
    expect(failure.code).toBe('NO_CANDIDATE');
    expect(failure.message).toContain('context_too_small (x/a)');
    expect(failure.message).toContain('unknown_to_artifact (x/b)');
    expect(failure.message).toContain('unhealthy (x/c)');
    expect(failure.message).toContain('5000 tokens'); // 20 000 characters / 4
    const dear = await failureOf(() => router.route(HELLO, { policy: { maxCostUsd: 1e-12 } }));
    expect(dear).toMatchObject({ code: 'NO_CANDIDATE', message: expect.stringContaining('over_max_cost') });
    const none = await failureOf(async () => (await Router.load({ candidates: [] })).route(HELLO));
    expect(none).toMatchObject({ code: 'NO_CANDIDATE', message: expect.stringContaining('no candidates') });
  });
});

describe('the policy', () => {
  test.each([
    ['tolerance', -0.1],
    ['tolerance', Number.NaN],
    ['minQuality', 1.1],
    ['exploration', 2],
    ['maxCostUsd', 0],
    ['tolerence', 0.1],
  ])('with %s = %s is refused by name, at load and on a request', async (knob, value) => {
    const policy = { [knob]: value };
    for (const attempt of [() => Router.load({ policy }), () => router.route(HELLO, { policy })]) {
      const failure = await failureOf(attempt);
      expect(failure.code).toBe('INVALID_CONFIG');
      expect(failure.message).toContain(knob);
      expect(failure.message).not.toContain('policy.:');
    }
  });

  test('of a request overrides that of the router, which overrides that of the artifact', async () => {
    const strict = await Router.load({ policy: { tolerance: 0.01 } });
    expect(strict.policy).toEqual({ ...artifact.policy, tolerance: 0.01 });
    const d = await strict.route(HELLO, { draw: 0 });
    const best = Math.max(...d.ranked.map((r) => r.quality));
    expect(d.floor).toBeCloseTo(best - 0.01, 6);
    expect((await strict.route(HELLO, { draw: 0, policy: { tolerance: 0.5 } })).floor).toBeCloseTo(best - 0.5, 6);
    expect((await strict.route(HELLO, { draw: 0, policy: { tolerance: undefined } as never })).floor).toBe(d.floor);
  });
});

describe('candidates', () => {
  test('are predicted by their own row where there is one, else by that of the model they are like', () => {
    const [first, second] = artifact.heads.modelIds;
    const made = createRouter(
      artifact,
      [candidateOf(first!, { like: second! }), candidateOf('new/one', { like: second! })],
      Policy.parse({ tolerance: 1 }),
    );
    return made.route(HELLO).then(({ ranked }) => {
      expect(ranked.find((r) => r.model === first)!.like).toBe(first);
      expect(ranked.find((r) => r.model === 'new/one')!.like).toBe(second);
    });
  });

  test('need no more than an id, prices and a context', async () => {
    const [model] = artifact.heads.modelIds;
    const bare = { id: 'x/bare', like: model!, inputUsdPerMTok: 1, outputUsdPerMTok: 2, contextTokens: 8000 };
    const made = await Router.load({ candidates: [bare] });
    expect((await made.route({ ...HELLO, tools: [{}] })).model).toBe('x/bare');
    expect((await failureOf(() => made.route(IMAGE))).message).toContain('no_image_input');
  });

  test.each([
    ['without a price', [{ id: 'x/a', inputUsdPerMTok: 1, contextTokens: 10 }], 'candidates.0.outputUsdPerMTok'],
    ['with a bare name', [candidateOf('gpt')], 'candidates.0.id'],
    ['given twice', [candidateOf('x/a'), candidateOf('x/a')], 'x/a'],
  ])('%s are refused by name', async (_, candidates, name) => {
    const failure = await failureOf(() => Router.load({ candidates: candidates as never }));
    expect(failure.code).toBe('INVALID_CONFIG');
    expect(failure.message).toContain(name);
  });

  test('of the shipped catalog are all known to the shipped artifact', () => {
    const unknown = router.candidates.filter((c) => !artifact.heads.modelIds.includes(c.like ?? c.id));
    expect(unknown.map((c) => c.id)).toEqual([]);
  });
});

describe('any prompt', () => {
  test.each([
    ['a million characters of words', 'the quick brown fox '.repeat(50_000), 250_000],
    ['a million empty lines and a word', `${'\n'.repeat(1_000_000)}x`, 250_001],
    ['a word of a million letters', 'a'.repeat(1_000_000), 250_000],
    ['a million ligatures', '\ufdfa'.repeat(1_000_000), 1_000_000],
  ])('is routed in bounded time: %s', async (_, text, inputTokens) => {
    await router.route(HELLO);
    let d: Awaited<ReturnType<typeof router.route>> | undefined;
    const ms = await processorMs(async () => {
      d = await router.route(ask(text));
    });
    expect(ms).toBeLessThan(1000);
    expect(d?.facts).toMatchObject({ chars: text.length, inputTokens });
  });

  test.each(['\u0000', '\ud800', ' ', '🙂', '}{', '\u202e', '-'.repeat(10_000)])(
    'gives numbers, whatever it is: %j',
    async (text) => {
      const d = await router.route(ask(text));
      const numbers = [d.outOfDomain, d.difficulty, d.floor, d.propensity, ...d.embedding];
      expect([...numbers, ...d.ranked.flatMap((r) => [r.quality, r.qualitySd, r.costUsd])].every(Number.isFinite)).toBe(
        true,
      );
    },
  );

  test('that is plainly harder is called harder, and fewer models are expected to manage it', async () => {
    const easy = await Promise.all(EASY.map((text) => router.route(ask(text), { draw: 0 })));
    const hard = await Promise.all(HARD.map((text) => router.route(ask(text), { draw: 0 })));
    expect(Math.min(...hard.map((d) => d.difficulty))).toBeGreaterThan(Math.max(...easy.map((d) => d.difficulty)));
    const meanQuality = (d: Decision) => d.ranked.reduce((sum, r) => sum + r.quality, 0) / d.ranked.length;
    expect(Math.max(...hard.map(meanQuality))).toBeLessThan(Math.min(...easy.map(meanQuality)));
  });

  test.each([
    ['Russian', 'Почему небо голубое, а закат красный? Объясните подробно.'],
    ['Chinese', '為什麼天空是藍色的？請用簡單的話解釋一下。'],
    ['Arabic', 'لماذا السماء زرقاء اللون؟ اشرح ذلك بلغة بسيطة من فضلك'],
    ['Finnish', 'Miksi taivas on sininen ja miksi auringonlasku on punainen? Selitä yksityiskohtaisesti.'],
  ])('in %s, which nothing was trained on, is out of domain and goes where models’ means say', async (_, text) => {
    const d = await router.route(ask(text), { draw: 0 });
    expect(d.reason).toBe('abstained');
    // The same rule, on qualities that do not depend on the prompt.
    const other = await router.route(ask('Ψ Ω Θ Ξ Φ Σ'), { draw: 0, policy: { maxOutOfDomain: 0 } });
    const qualities = ({ ranked }: Decision) => new Map(ranked.map((r) => [r.model, r.quality]));
    expect(qualities(d)).toEqual(qualities(other));
    const adequate = d.ranked.filter((r) => r.adequate);
    expect(d.ranked[0]!.costUsd).toBe(Math.min(...adequate.map((r) => r.costUsd)));
    const english = await router.route(ask('Why is the sky blue, and why is the sunset red? Explain in detail.'));
    // A question of everyday life lies at the edge of what was trained on, well short of abstaining (0.5).
    expect(english.outOfDomain).toBeLessThan(0.1);
    expect(d.outOfDomain).toBeGreaterThan(0.2);
  });
});

const EASY = [
  'What is 12 x 12?',
  'Which planet is known as the Red Planet? (A) Mars (B) Venus (C) Jupiter (D) Saturn',
  'Tom has 3 apples and buys 4 more. How many apples does he have now?',
];
const HARD = [
  'Given an array of n integers and q queries, implement a persistent segment tree that answers the k-th smallest element of a range modulo 998244353.\n\nInput Format: the first line holds n and q.\nConstraints: 1 <= n, q <= 200000. Sample Input:\n5 2\n1 2 3 4 5\n',
  'Let $G$ be a finite group of order $p^2 q$ with primes $p < q$. Determine, with proof, the number of irreducible complex characters of $G$ of degree greater than 1, and find the sum of the squares of their degrees when $p \\equiv 1 \\pmod{q}$.',
];
