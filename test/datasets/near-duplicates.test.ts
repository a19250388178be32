import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crossGroupDuplicates, nearDuplicateGroups } from '../../datasets/near-duplicates.ts';
import { seededRandom } from '../../datasets/random.ts';
import { promptOf } from './fixtures.ts';

const WORDS = 'river copper winter letter garden signal market bridge silver planet doctor number window forest'.split(
  ' ',
);

/** Words in random order with numbers among them: two of these share few shingles. */
function sentence(seed: number, words = 40): string {
  const random = seededRandom(seed);
  return Array.from({ length: words }, () =>
    random() < 0.5 ? WORDS[Math.floor(random() * WORDS.length)]! : Math.floor(random() * 1e6).toString(36),
  ).join(' ');
}

const groups = (...texts: string[]) => [...nearDuplicateGroups(texts)];

test('puts a text and the same with a few letters changed in one group, and another text in its own', () => {
  const text = sentence(1);
  expect(groups(text, sentence(2), `${text} thanks`, sentence(3))).toEqual([0, 1, 0, 2]);
});

test('numbers groups by first appearance', () => {
  const [a, b, c] = [sentence(1), sentence(2), sentence(3)];
  expect(groups(c, a, c, b, a)).toEqual([0, 1, 0, 2, 1]);
});

test('does not mind case, blanks and Unicode forms, but digits count', () => {
  const text = 'Is the Café at 17 Rue Victor open on Sundays before noon?';
  expect(groups(text, ` ${text.toUpperCase().replaceAll(' ', '\n\t')} `, text.normalize('NFD'))).toEqual([0, 0, 0]);
  expect(groups('12 + 34 = ?', '12 + 35 = ?')).toEqual([0, 1]);
});

test('compares empty and very short texts exactly', () => {
  expect(groups('', 'yes', '  ', 'Yes', 'no', 'yess')).toEqual([0, 1, 0, 1, 2, 3]);
  expect(groups()).toEqual([]);
  expect(groups('')).toEqual([0]);
});

test('joins through a third text: two that are unlike stand together when both are like one between them', () => {
  // 100 letters without a repeated shingle: 96 shingles. Ten changed at an end cost 10 of them.
  const text = Array.from({ length: 50 }, (_, i) => String.fromCharCode(0x4e00 + i)).join('');
  const more = Array.from({ length: 50 }, (_, i) => String.fromCharCode(0x5e00 + i)).join('');
  const middle = text + more;
  const left = `${'a'.repeat(10)}${middle.slice(10)}`;
  const right = `${middle.slice(0, -10)}${'b'.repeat(10)}`;
  // Each against the middle: 86 shared of at most 96 + 10, ≥ 0.81; against each other 76 of at most 116, < 0.8.
  expect(groups(left, right)).toEqual([0, 1]);
  expect(groups(left, right, middle)).toEqual([0, 0, 0]);
});

test('keeps texts apart whose shared shingles are just below the threshold, and joins them just above', () => {
  // All characters distinct: 100 of them hold 96 shingles. With k replaced at the end, 96 − k are shared of 96 + k.
  const letters = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => String.fromCharCode(0x4e00 + from + i)).join('');
  const text = letters(0, 100);
  const changed = (k: number) => text.slice(0, 100 - k) + letters(1000, k);
  // k = 10: 86 / 106 = .811; k = 11: 85 / 107 = .794
  expect(groups(text, changed(10))).toEqual([0, 0]);
  expect(groups(text, changed(11))).toEqual([0, 1]);
  expect([...nearDuplicateGroups([text, changed(11)], { threshold: 0.79 })]).toEqual([0, 0]);
});

test('does not merge questions that share a long instruction before or after them', () => {
  const before = `${sentence(900, 120)} Question: `;
  const after = ` Answer with one letter. ${sentence(901, 60)}`;
  const questions = Array.from({ length: 60 }, (_, i) => sentence(i, 8));
  const found = nearDuplicateGroups(questions.map((q) => before + q + after));
  expect(new Set(found).size).toBe(60);
});

test('finds the twin of a question under another instruction', () => {
  const instructions = [`${sentence(900, 120)} Q: `, `${sentence(901, 120)} Q: `];
  const texts = instructions.flatMap((text) => Array.from({ length: 30 }, (_, i) => text + sentence(i, 12)));
  const found = nearDuplicateGroups(texts);
  for (let i = 0; i < 30; i++) expect(found[30 + i]).toBe(found[i]);
  expect(new Set(found).size).toBe(30);
});

test('keeps short questions under one instruction apart, and those that are nothing but the instruction together', () => {
  const instruction = `${sentence(900, 60)} Translate: `;
  const texts = [...'abcdefghijklmnopqrstuvwxyz'].map((letter) => `${instruction}${letter}`);
  expect(new Set(nearDuplicateGroups(texts)).size).toBe(26);
  expect(new Set(nearDuplicateGroups([...texts, instruction, instruction])).size).toBe(27);
});

test('sees a template in a handful of texts too, when at least half of them have it', () => {
  const instruction = `${sentence(900, 120)} Q: `;
  const found = nearDuplicateGroups(Array.from({ length: 6 }, (_, i) => instruction + sentence(i, 8)));
  expect(new Set(found).size).toBe(6);
});

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.integer({ min: 0, max: 40 }).map((seed) => sentence(seed, 12)),
  fc.tuple(fc.integer({ min: 0, max: 5 }), fc.string({ maxLength: 8 })).map(([seed, end]) => sentence(seed, 30) + end),
);

test('gives equal texts one group, numbers without gaps, and the same answer twice', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 40 }), (texts) => {
      const found = nearDuplicateGroups(texts);
      expect(found).toHaveLength(texts.length);
      expect(nearDuplicateGroups(texts)).toEqual(found);
      let next = 0;
      for (const g of found) {
        expect(g).toBeLessThanOrEqual(next);
        if (g === next) next++;
      }
      texts.forEach((t, i) => {
        expect(found[texts.indexOf(t)]).toBe(found[i]);
      });
    }),
    { numRuns: 200, seed: 1 },
  );
});

test('finds the groups that comparing all pairs finds, in any order of the texts', () => {
  const shingles = (t: string) => {
    const level = t.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
    return new Set(Array.from({ length: Math.max(0, level.length - 4) }, (_, i) => level.slice(i, i + 5)));
  };
  const near = (a: string, b: string) => {
    const [x, y] = [shingles(a), shingles(b)];
    const both = [...x].filter((s) => y.has(s)).length;
    return both / (x.size + y.size - both) >= 0.8;
  };
  // No more than two variants of a text, so that none of their beginnings is taken for a template.
  const variants = fc.uniqueArray(fc.integer({ min: 0, max: 1000 }), { minLength: 3, maxLength: 12 }).chain((seeds) =>
    fc.array(fc.integer({ min: 0, max: 120 }), { minLength: seeds.length, maxLength: seeds.length }).chain((cuts) =>
      fc.shuffledSubarray(
        seeds.flatMap((seed, i) => [sentence(seed, 25), sentence(seed, 25).slice(cuts[i])]),
        { minLength: 2 * seeds.length },
      ),
    ),
  );
  fc.assert(
    fc.property(variants, (texts) => {
      const found = nearDuplicateGroups(texts);
      for (let i = 0; i < texts.length; i++) {
        for (let j = 0; j < i; j++) expect(found[i] === found[j]).toBe(near(texts[i]!, texts[j]!));
      }
    }),
    { numRuns: 150, seed: 3 },
  );
});

test('stays far from comparing all pairs when thousands of texts share most of their words in the middle', () => {
  // No prefix or suffix is shared, so that nothing is stripped: any two of them overlap by about a half.
  const middle = sentence(900, 60);
  const texts = Array.from({ length: 5000 }, (_, i) => `${sentence(i, 25)} ${middle} ${sentence(i + 9000, 25)}`);
  const twins = texts.slice(0, 500).map((t) => `${t} please`);
  const found = nearDuplicateGroups([...texts, ...twins]);
  expect(new Set(found.slice(0, 5000)).size).toBe(5000);
  const missed = twins.filter((_, i) => found[5000 + i] !== found[i]).length;
  expect(missed).toBe(0);
});

test('counts pairs and prompts whose near-duplicates stand in another group', () => {
  const [a, b] = [sentence(1), sentence(2)];
  const prompts = [
    promptOf('a1', { text: a, groupId: 'g1' }),
    promptOf('a2', { text: `${a} please`, groupId: 'g1' }),
    promptOf('a3', { text: a.toUpperCase(), groupId: 'g2' }),
    promptOf('b1', { text: b, groupId: 'g3' }),
    promptOf('b2', { text: b, groupId: 'g3' }),
    promptOf('c', { text: sentence(3) }),
    promptOf('d', { text: '', embedding: Float32Array.of(1) }),
  ];
  // a1-a3 and a2-a3 cross groups; a1-a2 and b1-b2 do not.
  expect(crossGroupDuplicates(prompts)).toEqual({
    pairs: 2,
    promptsInvolved: 3,
    examples: [['a1', 'a3']],
    unchecked: 1,
  });
});

test('has nothing to report where near-duplicates share their group, or nothing has text', () => {
  const clean = [
    promptOf('a', { text: sentence(1), groupId: 'g' }),
    promptOf('b', { text: sentence(1), groupId: 'g' }),
  ];
  expect(crossGroupDuplicates(clean)).toEqual({ pairs: 0, promptsInvolved: 0, examples: [], unchecked: 0 });
  expect(crossGroupDuplicates([promptOf('a', { text: '' }), promptOf('b', { text: '' })]).unchecked).toBe(2);
  expect(crossGroupDuplicates([])).toEqual({ pairs: 0, promptsInvolved: 0, examples: [], unchecked: 0 });
});
