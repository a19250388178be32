/** What is said around a task, and to the router, does not move the choice; a follow-up is routed by its conversation. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCatalog, seededRandom } from '../../datasets/index.ts';
import { HARMLESS, ROUTER_TALK } from '../../eval/perturbations.ts';
import { BEST, CHEAP, EASY, HARD, OVERRULING, SHORT } from '../../eval/wordings.ts';
import { loadArtifact } from '../../router/artifact/artifact.ts';
import { canonicalText } from '../../router/encoder/canonical-text.ts';
import { createRouter } from '../../router/index.ts';

/** Every kind of task, from easy to hard; each ends in a mark or in a list of options. */
const TASKS = [
  'What is the capital of Australia?',
  'Which gas do plants take in?\nA. Oxygen\nB. Carbon dioxide\nC. Nitrogen\nD. Helium',
  'Tom buys 3 pens at $2 each and pays with a ten dollar note. How much change does he get?',
  'Translate the sentence "The cat sleeps under the table" into German.',
  'Write a Python function that merges two sorted lists without using sort().',
  'Prove that there are infinitely many primes congruent to 3 modulo 4.',
  'Let $f(x) = x^3 - 3x + 1$. Find the sum of the squares of the real roots of $f$.',
  'A defendant sold land to a buyer who did not record the deed. A second buyer, unaware of this, paid and recorded. Who prevails under a race-notice statute?\nA. The first buyer\nB. The second buyer\nC. The defendant\nD. Neither',
  'Summarise the causes of the Peloponnesian War in three bullet points.',
  'Given an array of integers, return the length of the longest strictly increasing subsequence in O(n log n).',
  'Why does the sky look blue at noon but red at sunset?',
  'What is the output?\nclass Box:\n    def __init__(self): self.items = []\nb = Box()\nb.items.append(2)\nprint(len(b.items))',
];

const artifact = await loadArtifact();
const catalog = (await readCatalog()).models;
const router = createRouter(artifact, catalog, { ...artifact.policy, exploration: 0 });
const decide = (...turns: string[]) =>
  router.route(
    {
      messages: turns.flatMap((content, k) => [
        ...(k > 0 ? [{ role: 'assistant', content: 'Here is what I think.' }] : []),
        { role: 'user', content },
      ]),
    },
    { draw: 0.5 },
  );

describe('talk to the router', () => {
  const talk = fc.constantFrom(...EASY, ...CHEAP, ...OVERRULING, ...HARD, ...BEST);
  const task = fc.constantFrom(...TASKS);

  test('is gone from the text, before the task and behind it, one sentence or three of them', () => {
    fc.assert(
      fc.property(task, fc.array(talk, { minLength: 1, maxLength: 3 }), fc.boolean(), (text, sentences, before) => {
        // Each of them ends in a mark or stands on a line of its own.
        const said = sentences.join('\n');
        expect(canonicalText(before ? `${said}\n\n${text}` : `${text}\n\n${said}`)).toBe(canonicalText(text));
      }),
      { numRuns: 2000, seed: 31 },
    );
  });

  test('lowers no tier and buys none: the floor and what is predicted of every model stay', async () => {
    const qualities = (d: Awaited<ReturnType<typeof decide>>) => new Map(d.ranked.map((r) => [r.model, r.quality]));
    const picks = new Map(await Promise.all(TASKS.map(async (text) => [text, await decide(text)] as const)));
    await fc.assert(
      fc.asyncProperty(task, talk, fc.boolean(), async (text, sentence, before) => {
        const plain = picks.get(text)!;
        const told = await decide(before ? `${sentence}\n${text}` : `${text}\n${sentence}`);
        // Of two good enough, its few more tokens of input may make another one the cheapest.
        expect(qualities(told)).toEqual(qualities(plain));
        expect(told.floor).toBe(plain.floor);
        expect(told.difficulty).toBe(plain.difficulty);
      }),
      { numRuns: 400, seed: 32 },
    );
  });

  test('changes what the task is only where it is the task', async () => {
    const text = 'Compare a cheap model with an expensive one: when does routing between them pay?';
    expect(canonicalText(text)).toBe(text);
  });
});

describe('perturbations', () => {
  const all = [...HARMLESS, ...ROUTER_TALK];

  test('are the same for the same stream, and differ from the text', () => {
    for (const { apply } of all) {
      for (const text of TASKS) expect(apply(text, seededRandom(7))).toEqual(apply(text, seededRandom(7)));
    }
    for (const { name, apply } of all) {
      const changed = TASKS.map((text) => apply(text, seededRandom(7)));
      expect(
        changed.some((text, i) => text !== null && text !== TASKS[i]),
        name,
      ).toBe(true);
    }
  });

  test('leave code and formulas in their case and spelling', () => {
    for (const name of ['typos', 'lower case', 'all capitals']) {
      const { apply } = HARMLESS.find((p) => p.name === name)!;
      expect(apply(TASKS.at(-1)!, seededRandom(1))).toBeNull();
      expect(apply('Find $\\frac{1}{2} + x$', seededRandom(1))).toBeNull();
      expect(apply(TASKS[0]!, seededRandom(1))).not.toBeNull();
    }
  });

  test('put a typo into one word in twenty, at least one, and keep everything else', () => {
    const { apply } = HARMLESS.find((p) => p.name === 'typos')!;
    const words = 'alpha bravo charlie delta echo foxtrot golf hotel india juliet'.split(' ');
    const text = Array.from({ length: 60 }, (_, i) => words[i % 10]).join(' ');
    const changed = (apply(text, seededRandom(3)) as string).split(' ');
    expect(changed).toHaveLength(60);
    // 60 / 20; a letter exchanged with its like, as in "echoo" for "echo", still differs
    expect(changed.filter((word, i) => word !== text.split(' ')[i])).toHaveLength(3);
  });
});

describe('a follow-up', () => {
  test('is decided nearer to its conversation than by itself', async () => {
    let byItself = 0;
    let inConversation = 0;
    for (const text of TASKS) {
      const { difficulty } = await decide(text);
      for (const followUp of SHORT) {
        byItself += Math.abs((await decide(followUp)).difficulty - difficulty);
        inConversation += Math.abs((await decide(text, followUp)).difficulty - difficulty);
      }
    }
    expect(inConversation).toBeLessThan(byItself / 2);
  });

  test('after thanks is still about the task', async () => {
    const direct = await decide(TASKS[5]!, 'and modulo 6?');
    const polite = await decide(TASKS[5]!, 'Thanks a lot!', 'and modulo 6? Thank you!');
    expect(polite.difficulty).toBe(direct.difficulty);
  });
});
