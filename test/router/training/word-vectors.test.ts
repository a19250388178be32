/** Word vectors from made-up texts whose words are alike by construction; the file they are kept in. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { forEachToken, wordHash } from '../../../router/encoder/ngram/tokens.ts';
import { beginsLike, checkTextFiles, quotes, readTexts } from '../../../router/training/read-texts.ts';
import { WordPairs } from '../../../router/training/word-pairs.ts';
import { trainWordVectors, type WordVectors } from '../../../router/training/word-vectors.ts';
import { readWordVectors, shippedVectors, writeWordVectors } from '../../../router/training/word-vectors-file.ts';
import { failureOf, temporaryFolder } from '../fixtures.ts';

/** Sentences of three trades; every noun of a trade keeps the company of that trade's verbs. */
const TRADES = [
  { nouns: ['oak', 'elm', 'birch', 'pine'], verbs: ['grows', 'shades', 'sheds', 'roots'] },
  { nouns: ['violin', 'cello', 'flute', 'oboe'], verbs: ['plays', 'sounds', 'tunes', 'sings'] },
  { nouns: ['judge', 'lawyer', 'clerk', 'jury'], verbs: ['argues', 'rules', 'appeals', 'decides'] },
];

function sentences(n: number, seed: number): string[] {
  const random = seededRandom(seed);
  const of = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  return Array.from({ length: n }, () => {
    const { nouns, verbs } = of(TRADES);
    return `The ${of(nouns)} ${of(verbs)} and ${of(verbs)}.`;
  });
}

const over = (texts: readonly string[]) =>
  async function* () {
    yield* texts;
  };

const hashOf = (word: string): number => {
  let found = -1;
  forEachToken(word, (hash) => {
    found = wordHash(hash);
  });
  return found;
};

const vectorOf = ({ hashes, table, rowScale, dimension }: WordVectors, word: string): number[] => {
  const v = hashes.indexOf(hashOf(word));
  return Array.from(table.subarray(v * dimension, (v + 1) * dimension), (q) => q * rowScale[v]!);
};

const cosine = (a: number[], b: number[]): number => {
  const dot = (x: number[], y: number[]): number => x.reduce((s, xi, i) => s + xi * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
};

const texts = sentences(10_000, 1);
const small = { seed: 1, dimension: 8 };

describe('word vectors', () => {
  test('are alike for words of like company that never stood together', async () => {
    const vectors = await trainWordVectors(over(texts), small);
    for (const [t, { nouns }] of TRADES.entries()) {
      const [noun, ...alike] = nouns;
      const others = TRADES.filter((_, k) => k !== t).flatMap((other) => other.nouns);
      const to = (word: string): number => cosine(vectorOf(vectors, noun!), vectorOf(vectors, word));
      expect(Math.min(...alike.map(to))).toBeGreaterThan(Math.max(...others.map(to)) + 0.3);
    }
  });

  test('are the same bytes for the same texts and seed, and others for another seed', async () => {
    const first = await trainWordVectors(over(texts), small);
    expect(await trainWordVectors(over(texts), small)).toEqual(first);
    expect((await trainWordVectors(over(texts), { ...small, seed: 2 })).table).not.toEqual(first.table);
  });

  test('know each word by its share of the text, most frequent first', async () => {
    const { hashes, frequency } = await trainWordVectors(over(texts), small);
    // Six tokens a sentence, of which "the", "and" and the full stop stand in each.
    expect(new Set(hashes.subarray(0, 3))).toEqual(new Set(['the', 'and', '.'].map(hashOf)));
    for (const f of frequency.subarray(0, 3)) expect(f).toBeCloseTo(1 / 6, 6);
    expect(frequency.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    expect([...frequency]).toEqual([...frequency].sort((a, b) => b - a));
  });

  test('leave out words that are too rare, and keep no more than asked for', async () => {
    const rare = [...texts, 'zebra zebra zebra'];
    const all = await trainWordVectors(over(rare), small);
    expect(all.hashes).not.toContain(hashOf('zebra'));
    expect((await trainWordVectors(over(rare), { ...small, minCount: 3 })).hashes).toContain(hashOf('zebra'));
    const few = await trainWordVectors(over(rare), { ...small, maxWords: 5 });
    expect([...few.hashes]).toEqual([...all.hashes.subarray(0, 5)]);
  });

  test('tell how far along they are', async () => {
    const steps: string[] = [];
    let last = 0;
    await trainWordVectors(over(texts), {
      ...small,
      onProgress: (step, done) => {
        if (steps.at(-1) !== step) steps.push(step);
        last = done;
      },
    });
    expect(steps).toEqual(['counting words', 'counting pairs', 'factorising']);
    expect(last).toBe(1);
  });

  test.each([
    ['no text', []],
    ['one word', Array(50).fill('word')],
    ['words that never meet', [...Array(50).fill('one'), ...Array(50).fill('two')]],
    ['words too rare', ['one two three four']],
  ])('are refused of %s', async (_, given) => {
    const failure = await failureOf(() => trainWordVectors(over(given), small));
    expect(failure.code).toBe('EMPTY_TABLE');
    expect(failure.message).toContain('give more text');
  });
});

test('pairs are counted whatever their order, through many doublings of the table', () => {
  const pairs = new WordPairs(1000, 4);
  const truth = new Map<string, number>();
  const random = seededRandom(3);
  for (let k = 0; k < 5000; k++) {
    const a = Math.floor(random() * 1000);
    const b = Math.floor(random() * 1000);
    if (a === b) continue;
    pairs.add(a, b, 0.5);
    const key = `${Math.max(a, b)} ${Math.min(a, b)}`;
    truth.set(key, (truth.get(key) ?? 0) + 0.5);
  }
  pairs.add(1, 0, 2); // the smallest key there is
  truth.set('1 0', (truth.get('1 0') ?? 0) + 2);
  const told: string[] = [];
  pairs.forEach((a, b, count) => {
    told.push(`${a} ${b}`);
    expect(count).toBe(truth.get(`${a} ${b}`));
  });
  expect(told).toHaveLength(truth.size);
  expect(new Set(told).size).toBe(truth.size);
});

describe('the file of word vectors', () => {
  test('is read as it was written', async () => {
    const path = join(temporaryFolder(), 'new', 'words.bin');
    const vectors = await trainWordVectors(over(texts), small);
    writeWordVectors(path, vectors);
    expect(readWordVectors(path)).toEqual(vectors);
  });

  test('that is shipped holds vectors as the encoder wants them, in at most 2.5 MB', () => {
    const vectors = readWordVectors(shippedVectors());
    expect(vectors.dimension).toBe(64);
    expect(new Set(vectors.hashes).size).toBe(vectors.hashes.length);
    expect(readFileSync(shippedVectors()).length).toBeLessThan(2.5e6);
    const to = (a: string, b: string): number => cosine(vectorOf(vectors, a), vectorOf(vectors, b));
    expect(to('enzyme', 'protein')).toBeGreaterThan(to('enzyme', 'plaintiff'));
    expect(to('velocity', 'acceleration')).toBeGreaterThan(to('velocity', 'inflation'));
  });

  test('is refused when it is missing, something else, or cut short', async () => {
    const dir = temporaryFolder();
    const path = join(dir, 'words.bin');
    expect((await failureOf(() => readWordVectors(path))).code).toBe('MISSING_FILE');
    for (const other of ['', 'some text that is no vectors at all']) {
      writeFileSync(path, other);
      const failure = await failureOf(() => readWordVectors(path));
      expect(failure.code).toBe('ARTIFACT_DAMAGED');
      expect(failure.message).toContain('train:vectors');
    }
    writeWordVectors(path, await trainWordVectors(over(texts), small));
    writeFileSync(path, readFileSync(path).subarray(0, -1));
    expect((await failureOf(() => readWordVectors(path))).message).toContain('make it again');
  });
});

describe('texts', () => {
  test('are read one by one from strings, from rows with a text, zipped or not, and from lines', async () => {
    const dir = temporaryFolder();
    writeFileSync(join(dir, 'a.jsonl'), '"one\\ntwo"\n{"id": "x", "text": "three"}\n');
    writeFileSync(join(dir, 'b.jsonl.gz'), gzipSync('"four"\n'));
    writeFileSync(join(dir, 'c.txt'), 'five\r\nsix\n');
    const read: string[] = [];
    for await (const text of readTexts(['a.jsonl', 'b.jsonl.gz', 'c.txt'].map((f) => join(dir, f)))) read.push(text);
    expect(read).toEqual(['one\ntwo', 'three', 'four', 'five', 'six']);
  });

  test('of another shape are refused by file and line', async () => {
    const path = join(temporaryFolder(), 'a.jsonl');
    writeFileSync(path, '"one"\n{"question": "two"}\n');
    const failure = await failureOf(async () => {
      for await (const _ of readTexts([path]));
    });
    expect(failure.code).toBe('INVALID_ROW');
    expect(failure.message).toContain(`${path}:2`);
  });

  test('are looked for before the first is read', async () => {
    const dir = temporaryFolder();
    writeFileSync(join(dir, 'a.txt'), 'one');
    checkTextFiles([join(dir, 'a.txt')]);
    for (const name of ['missing.txt', 'a.csv']) {
      const failure = await failureOf(() => checkTextFiles([join(dir, 'a.txt'), join(dir, name)]));
      expect(failure.code).toBe('MISSING_FILE');
      expect(failure.message).toContain(name);
    }
  });

  test('that quote a prompt are told by two rows of five words, wherever and in whatever case', () => {
    const isQuoting = quotes([
      { text: 'Tom has seven red apples and eats two of them. How many are left?' },
      { text: '' },
    ]);
    expect(isQuoting('Let us see.\nTOM HAS SEVEN RED APPLES, AND EATS 2.')).toBe(true);
    expect(isQuoting('Tom has seven red apples.')).toBe(false);
    expect(isQuoting('He eats two of them; how many are left?')).toBe(true);
    expect(isQuoting('Seven apples are red and Tom has them.')).toBe(false);
    expect(isQuoting('')).toBe(false);
  });

  test('that begin like a prompt are known by their first line, whatever case and marks', () => {
    const isHeldOut = beginsLike([{ text: 'What is  2 + 2?\nA. 3\nB. 4' }, { text: '' }]);
    expect(isHeldOut('what is 2+2\n It is four.')).toBe(true);
    expect(isHeldOut('What is 2 + 3?\n Five.')).toBe(false);
    expect(isHeldOut('')).toBe(false);
  });
});
