/** Any text at all becomes finite features of bounded size in bounded time. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DENSE_FACTS, denseFacts } from '../../router/encoder/ngram/facts.ts';
import { BUCKETS, GRAM_BUCKETS, NO_GRAM, ngramFeatures, Vocabulary } from '../../router/encoder/ngram/features.ts';
import { forEachToken, wordHash } from '../../router/encoder/ngram/tokens.ts';
import { generatedTexts } from './fixtures.ts';

const fact = (text: string, name: (typeof DENSE_FACTS)[number], chars = text.length): number =>
  denseFacts(text, chars)[DENSE_FACTS.indexOf(name)]!;

const shared = (a: string, b: string): number => {
  const ids = new Set(ngramFeatures(a).ids);
  return ngramFeatures(b).ids.filter((id) => ids.has(id)).length;
};

describe('n-gram features', () => {
  test('of any string: distinct buckets in range, weights of unit length, the same each time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const f = ngramFeatures(text);
        for (const [ids, below] of [
          [f.ids, BUCKETS],
          [f.grams, GRAM_BUCKETS + 1],
        ] as const) {
          expect(ids.length).toBeGreaterThan(0);
          expect(new Set(ids).size).toBe(ids.length);
          expect(ids.every((id) => id >= 0 && id < below)).toBe(true);
        }
        expect(f.weights).toHaveLength(f.ids.length);
        expect(f.weights.reduce((sum, w) => sum + w * w, 0)).toBeCloseTo(1, 5);
        expect(f.dense).toHaveLength(DENSE_FACTS.length);
        expect(f.dense.every(Number.isFinite)).toBe(true);
        expect(ngramFeatures(text)).toEqual(f);
      }),
      { numRuns: 200, seed: 3 },
    );
  });

  test('do not depend on the texts before', () => {
    const first = ngramFeatures('What is 3 plus 4?');
    for (const text of generatedTexts(50, 5)) ngramFeatures(text);
    expect(ngramFeatures('What is 3 plus 4?')).toEqual(first);
  });

  test('of an empty text are one n-gram and no letters', () => {
    const f = ngramFeatures('');
    expect(f.ids).toHaveLength(1);
    expect(fact('', 'log characters')).toBe(0);
    expect(ngramFeatures(' \n\t ').ids).toEqual(f.ids);
  });

  test('look at a number by its length, not by its digits', () => {
    expect(ngramFeatures('4711').ids).toEqual(ngramFeatures('9035').ids);
    expect(shared('4711', '90353')).toBe(0);
    expect(ngramFeatures('add 4711 and 12').ids).toEqual(ngramFeatures('add 9035 and 99').ids);
  });

  test('ignore case and width, but not the order of words', () => {
    expect(ngramFeatures('ＰＲＯＶＥ It').ids).toEqual(ngramFeatures('prove it').ids);
    const forwards = ngramFeatures('dog bites man').ids;
    const backwards = ngramFeatures('man bites dog').ids;
    expect([...backwards].sort()).not.toEqual([...forwards].sort());
    expect(shared('dog bites man', 'man bites dog')).toBe(3);
  });

  test('name the 4-grams of words and their ends, each once, and none where no word is long enough', () => {
    // _cat_: _cat, cat_; "at" within: _at_.
    expect(ngramFeatures('Cat').grams).toHaveLength(2);
    expect(ngramFeatures('cat, cat 77 cat').grams).toEqual(ngramFeatures('cat').grams);
    expect([...ngramFeatures('cat at').grams]).toEqual([...ngramFeatures('cat').grams, ...ngramFeatures('at').grams]);
    for (const text of ['', 'a + b = 7', '12']) expect([...ngramFeatures(text).grams]).toEqual([NO_GRAM]);
  });

  test('weigh what is repeated more, but by its logarithm', () => {
    const f = ngramFeatures('+ + + + + + + +');
    const sorted = [...f.weights].sort((a, b) => b - a);
    // unigram "+" × 8, bigram "+ +" × 7, bigram of the start × 1: 1 + ln 8, 1 + ln 7, 1
    expect(sorted[0]! / sorted[2]!).toBeCloseTo(1 + Math.log(8), 5);
    expect(sorted[1]! / sorted[2]!).toBeCloseTo(1 + Math.log(7), 5);
  });

  test('name the words of a vocabulary by their rows, each once, and none by row 0', () => {
    const hashes: number[] = [];
    forEachToken('how many eggs', (hash) => hashes.push(wordHash(hash)));
    const vocabulary = new Vocabulary([-1, ...hashes]);
    expect([...ngramFeatures('Many eggs, how many hens?', vocabulary).words]).toEqual([2, 3, 1]);
    expect([...ngramFeatures('hens', vocabulary).words]).toEqual([0]);
    expect([...ngramFeatures('how many eggs').words]).toEqual([0]);
  });

  test('find every word of a large vocabulary, and no other, where hashes crowd', () => {
    // Every third number below 3 000 leaves the same low bits many times over.
    const hashes = [-1, ...Array.from({ length: 1000 }, (_, k) => 3 * k)];
    const vocabulary = new Vocabulary(hashes);
    for (let hash = 0; hash < 4000; hash++) {
      expect(vocabulary.rowOf(hash)).toBe(hash % 3 === 0 && hash < 3000 ? 1 + hash / 3 : 0);
    }
    expect(new Vocabulary([-1]).rowOf(0)).toBe(0);
  });

  test('of a long text come from its head and its tail', () => {
    const middle = (word: string): string => `${'alpha '.repeat(600)}${word} ${'omega '.repeat(600)}`;
    expect(ngramFeatures(middle('hidden')).ids).toEqual(ngramFeatures(middle('buried')).ids);
    expect(shared('alpha', middle('x'))).toBeGreaterThan(0);
    expect(shared('omega', middle('x'))).toBeGreaterThan(0);
  });

  // Against 4 000 characters of words, timed beside it: a scan that grows with the square takes 40 times as long.
  test.each([
    ['words', 'the quick brown fox '.repeat(50_000)],
    ['one word', 'a'.repeat(1_000_000)],
    ['empty lines', '\n'.repeat(1_000_000)],
    ['blanks and empty lines', ' \n'.repeat(500_000)],
    ['blanks', ' '.repeat(1_000_000)],
    ['open brackets', '([{'.repeat(333_333)],
    ['no letter at all', '!?.,'.repeat(250_000)],
    ['almost answer options', '(A '.repeat(333_333)],
    ['apostrophes', "'".repeat(1_000_000)],
    ['combining marks', `a${'\u0301'.repeat(999_999)}`],
  ])('of a million characters take no longer than of a few thousand: %s', (_, text) => {
    const words = 'the quick brown fox '.repeat(200);
    const times = Array.from({ length: 8 }, () => [
      timed(() => ngramFeatures(text)),
      timed(() => ngramFeatures(words)),
    ]);
    expect(Math.min(...times.map(([t]) => t!))).toBeLessThan(15 * Math.min(...times.map(([, t]) => t!)));
  });

  test('of characters that grow eighteenfold when normalised stay within what they grow to', () => {
    const f = ngramFeatures('\ufdfa'.repeat(1_000_000));
    expect(f.ids.length).toBeLessThan(1000);
    expect(f.dense.every(Number.isFinite)).toBe(true);
  });
});

describe('dense facts', () => {
  test('count what they say they count', () => {
    // "If x1 is 42, why not 7?" — 23 characters; words If, x, is, why, not: 5; digits 1, 4, 2, 7: 4; numbers 1, 42, 7: 3.
    const text = 'If x1 is 42, why not 7?';
    expect(text).toHaveLength(23);
    expect(fact(text, 'log characters')).toBeCloseTo(Math.log(24), 5);
    expect(fact(text, 'log words')).toBeCloseTo(Math.log(6), 5);
    expect(fact(text, 'share of digits')).toBeCloseTo(4 / 23, 5);
    expect(fact(text, 'log count of numbers')).toBeCloseTo(Math.log(4), 5);
    expect(fact(text, 'digits of the longest number')).toBe(2);
    expect(fact(text, 'share of capitals')).toBeCloseTo(1 / 23, 5);
    expect(fact(text, 'question marks, log')).toBeCloseTo(Math.log(2), 5);
    expect(fact(text, 'negations, log')).toBeCloseTo(Math.log(2), 5);
    expect(fact(text, 'commas per word')).toBeCloseTo(1 / 5, 5);
    expect(fact(text, 'starts with a question word')).toBe(0);
    expect(fact('Why not 7?', 'starts with a question word')).toBe(1);
  });

  test('know the depth of brackets, even of those that close too often', () => {
    expect(fact('f(a[b{c}])', 'deepest bracket')).toBe(3);
    expect(fact(')))(', 'deepest bracket')).toBe(1);
  });

  test('count answer options one to a line, indented or after empty lines too', () => {
    expect(fact('Pick one.\n\n  (A) red\nB. green\n\n\tC) blue\nnot D. here', 'answer options')).toBe(3);
  });

  test('know the question from its options, and what its last sentence asks for', () => {
    // 38 of 65 characters before the options, 4 words in the last of two sentences; options of 11, 11 and 4
    // characters: mean 26/3, deviations 7/3, 7/3 and −14/3, so a standard deviation of √98/3.
    const text = 'Mix 1.5 l with 2 l. Why can it freeze?\nA. at zero\nB. at once\nC. n';
    expect(fact(text, 'log characters before the answer options')).toBeCloseTo(Math.log(39), 5);
    expect(fact(text, 'share of characters before the answer options')).toBeCloseTo(38 / 65, 5);
    expect(fact(text, 'log words of the last sentence before the answer options')).toBeCloseTo(Math.log(5), 5);
    expect(fact(text, 'spread of the lengths of the answer options')).toBeCloseTo(Math.sqrt(98) / 26, 5);
    expect(fact(text, 'asks to explain')).toBe(1);
    expect(fact(text, 'asks to calculate')).toBe(0);
    expect(fact(text, 'decimals, log')).toBeCloseTo(Math.log(2), 5);
    expect(fact(text, 'words of possibility, log')).toBeCloseTo(Math.log(2), 5);
  });

  test('take one marked line for a text like any other: a choice has two', () => {
    const text = 'A. Smith wrote this.';
    expect(fact(text, 'share of characters before the answer options')).toBe(1);
    expect(fact(text, 'spread of the lengths of the answer options')).toBe(0);
  });

  test('take the length before the cut from the caller', () => {
    expect(fact('short', 'log characters', 1_000_000)).toBeCloseTo(Math.log(1_000_001), 4);
  });
});

function timed(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
