/** Numbers as people write them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agrees, lastNumber } from '../../../server/verify/numeric-answer.ts';

const read = (text: string) => lastNumber(text)?.value ?? null;

describe('the last number of a text', () => {
  test.each<[string, number | null]>([
    ['The answer is 42.', 42],
    ['**42**', 42],
    ['_42_', 42],
    ['答案是42', 42],
    ['It is -5', -5],
    ['x = −5', -5],
    ['the range 3-5', 5],
    ['10 - 5', 5],
    ['x-5', 5],
    ['a loss of -$1,234.50', -1234.5],
    ['US$5', 5],
    // Thousands and decimals.
    ['1,234', 1234],
    ['12,345,678.9', 12345678.9],
    ['1.234.567', 1234567],
    ['1.234,5', 1234.5],
    ['1 234 567 as typeset: 1\u202f234\u202f567', 1234567],
    ["1'234", 1234],
    ['3,14', 3.14],
    ['0,500', 0.5],
    ['0.500', 0.5],
    ['.5', 0.5],
    ['-.5', -0.5],
    // Lists, versions, names.
    ['1,2,3', 3],
    ['(3, 4)', 4],
    ['12 apples, 7 pears', 7],
    ['7, as said in version 1.2.3', 7],
    ['7 mol of H2O', 7],
    ['7 cm^2', 7],
    ['7 cm²', 7],
    ['7 = x_1', 7],
    ['on 11/12/2025', 2025],
    ['2025-11-12', 12],
    // Powers.
    ['1.5e-3', 1.5e-3],
    ['6.02 × 10^23', 6.02e23],
    ['6.02\\times10^{23}', 6.02e23],
    ['3.0×10⁻⁸', 3e-8],
    ['10^3', 1000],
    ['10³', 1000],
    ['2^{10}', 1024],
    // Fractions.
    ['3/4', 0.75],
    ['-3/4', -0.75],
    ['1 3/4', 1.75],
    ['-1 3/4', -1.75],
    ['1½', 1.5],
    ['¾', 0.75],
    ['1,000/4', 250],
    // Percent.
    ['45%', 0.45],
    ['12.5 percent', 0.125],
    // LaTeX.
    ['\\(\\frac{3}{4}\\)', 0.75],
    ['$-\\dfrac{3}{4}$', -0.75],
    ['1\\frac{1}{2}', 1.5],
    ['\\frac34', 0.75],
    ['1{,}234', 1234],
    ['1\\,234\\,567', 1234567],
    ['So \\boxed{5\\text{ cm}^2}, by lemma 7.', 5],
    ['\\boxed{1} or rather \\boxed{\\frac{1}{2}}; see 9', 0.5],
    ['\\boxed{x}, so 9', 9],
    ['\\boxed{7', 7],
    // None.
    ['', null],
    ['no number at all', null],
    ['version 1.2.3', null],
    ['1/0', null],
    ['1e999', null],
  ])('%j is %s', (text, value) => {
    if (value === null) expect(read(text)).toBeNull();
    else expect(read(text)).toBeCloseTo(value, 12);
  });

  const whole = fc.integer({ min: -999_999_999, max: 999_999_999 });
  const words = fc.constantFrom(
    '',
    'The answer is ',
    'There are 3 steps.\nSo x = ',
    '**Answer:** ',
    '1. first\n2. ',
    '(',
  );
  const ends = fc.constantFrom('', '.', ' apples', '!', ')', '**', '\n');

  test('any whole number, however grouped, is read back', () => {
    const grouped = (n: number, sign: string) => String(Math.abs(n)).replace(/\B(?=(\d{3})+$)/g, sign);
    fc.assert(
      fc.property(
        whole,
        words,
        ends,
        fc.constantFrom('', ',', "'", '\u202f', '{,}', '\\,'),
        (n, before, after, sign) => {
          const text = `${n < 0 ? '-' : ''}${grouped(n, sign)}`;
          expect(read(`${before}${text}${after}`)).toBe(n === 0 ? 0 : n);
        },
      ),
    );
  });

  test('any number as JavaScript writes it is read back', () => {
    const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(finite, words, ends, (x, before, after) => {
        const value = read(`${before}${x}${after}`);
        expect(value).toBe(x === 0 ? 0 : x);
      }),
    );
  });

  test('any fraction is read as its value', () => {
    const below = fc.integer({ min: 1, max: 10_000 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000 }), below, words, (a, b, before) => {
        for (const text of [`${a}/${b}`, `${a} / ${b}`, `\\frac{${a}}{${b}}`, `\\boxed{\\frac{${a}}{${b}}}`]) {
          expect(read(`${before}${text}`)).toBe(a / b);
        }
      }),
    );
  });

  test('whatever the text, it is a finite number or none', () => {
    const pieces = fc.constantFrom(
      '1',
      '9,',
      '.',
      ',',
      '-',
      '/',
      '^',
      '{',
      '}',
      '\\frac',
      '\\boxed{',
      '%',
      'e',
      ' ',
      '×',
      '10',
      '²',
      '½',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces, { maxLength: 60 }).map((all) => all.join('')),
        ),
        (text) => {
          const found = lastNumber(text);
          if (found !== null) expect(Number.isFinite(found.value)).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('an expectation is met', () => {
  test.each<[string, string, boolean | null]>([
    ['x = 0.33333', '1/3', false],
    ['x = 0.3333333', '1/3', true],
    ['1,000,000.5', '1000000', true],
    ['0', '0', true],
    ['0.0000001', '0', true],
    ['0.1', '0', false],
    ['-5', '5', false],
    // 45 % may be meant by 0.45 and by 45, but two percentages or two plain numbers have one meaning.
    ['45 %', '0.45', true],
    ['45 %', '45', true],
    ['0.45', '45%', true],
    ['45', '45%', true],
    ['0.45 %', '45%', false],
    ['0.45', '45', false],
    ['nothing', '4', false],
    ['4', '#### 4', true],
    ['4', 'four', null],
  ])('%j for %j: %s', (answer, expected, met) => {
    expect(agrees(answer, expected, 1e-6)).toBe(met);
  });

  test('within the tolerance given, relative to what is expected', () => {
    // |101 − 100| = 1 = 0.01 · 100
    expect(agrees('101', '100', 0.01)).toBe(true);
    expect(agrees('101.1', '100', 0.01)).toBe(false);
  });
});
