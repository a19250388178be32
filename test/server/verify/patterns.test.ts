/** Patterns of the operator's own, matched in linear time beside the gateway's thread. */
import { afterAll, describe, expect, test } from 'vitest';
import { compilePattern, patternFault } from '../../../server/verify/pattern-engine.ts';
import { Patterns } from '../../../server/verify/patterns.ts';
import { processorMs } from '../../processor-time.ts';

describe('an expression that takes others for ever', () => {
  test.each(['(a+)+$', '(a|aa)+$', '(a*)*b', '(x+x+)+y'])(
    '%s: four times the text, about four times as long',
    async (pattern) => {
      const matches = compilePattern(pattern);
      const timeOf = async (n: number) => {
        const text = `${'a'.repeat(n)}!`;
        let best = Number.POSITIVE_INFINITY;
        for (let i = 0; i < 3; i++) {
          best = Math.min(best, await processorMs(() => expect(matches(text)).toBe(false)));
        }
        return best;
      };
      await timeOf(25_000);
      // A backtracking engine doubles its time with each letter; even a quadratic one would need 16 times as long.
      expect(await timeOf(100_000)).toBeLessThan(12 * (await timeOf(25_000)) + 50);
    },
  );
});

describe('a pattern that is none', () => {
  test.each([
    ['(a', 'missing closing )'],
    ['a(?=b)', 'at character 2: (?='],
    ['(a)\\1', 'at character 4: \\1'],
    ['x[z-a]', 'at character 3: z-a'],
    ['a{1001}', 'invalid repeat count'],
  ])('%s: %s', (pattern, fault) => {
    expect(patternFault(pattern)).toContain(fault);
  });
  test('null for one that is', () => {
    expect(patternFault('(?i)as an ai|\\bsorry\\b')).toBeNull();
  });
});

describe('in a thread', () => {
  const patterns = new Patterns();
  afterAll(() => patterns.close());
  test.each([
    [['cat', 'dog'], [], true],
    [['cat', 'cow'], [], false],
    [[], ['cow'], true],
    [['cat'], ['(?i)DOG'], false],
    [['^cat'], [], false],
  ])('must %j, must not %j: %s', async (must, mustNot, isRight) => {
    expect(await patterns.test({ text: 'the cat and the dog', must, mustNot })).toBe(isRight);
  });

  test('whoever takes too long is given up, and the next is served', async () => {
    const slow = patterns.test({ text: 'a'.repeat(5_000_000), must: ['(?:a{1,100}){1,10}b|c$'], mustNot: [] }, 1);
    await expect(slow).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' });
    expect(await patterns.test({ text: 'b', must: ['b'], mustNot: [] })).toBe(true);
  });

  test('a pattern that cannot be compiled there is the engine’s trouble, not an answer’s', async () => {
    await expect(patterns.test({ text: 'a', must: ['('], mustNot: [] })).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
