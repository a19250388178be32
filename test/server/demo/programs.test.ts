import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PROGRAMS, replyOf } from '../../../server/demo/programs.ts';
import { FAMILIES, isRight, makeTasks } from '../../../server/demo/tasks.ts';
import { evaluate, runPython } from '../../../server/demo/tiny-python.ts';

const tasks = makeTasks(1200, 17);
const [pocket, clerk, coder, expert] = PROGRAMS as [
  (typeof PROGRAMS)[0],
  (typeof PROGRAMS)[0],
  (typeof PROGRAMS)[0],
  (typeof PROGRAMS)[0],
];
const share = (program: typeof pocket, chosen = tasks) =>
  chosen.filter((t) => isRight(t, replyOf(program, t.prompt))).length / chosen.length;

test('the expert solves every task by reading it', () => {
  const wrong = tasks.filter((t) => !isRight(t, replyOf(expert, t.prompt)));
  expect(wrong.map((t) => t.prompt)).toEqual([]);
});

test('a dearer program is right more often', () => {
  const prices = PROGRAMS.map((p) => p.candidate.outputUsdPerMTok);
  expect([...prices].sort((a, b) => a - b)).toEqual(prices);
  expect(share(pocket)).toBeLessThan(share(clerk));
  expect(share(clerk)).toBeLessThan(share(coder));
  expect(share(coder)).toBeLessThan(share(expert));
});

test('every program is right on the easiest tasks it was made for, and none but the expert on the hardest', () => {
  const easy = tasks.filter((t) => t.level === 1 && t.family !== 'code reading');
  for (const program of PROGRAMS) expect(share(program, easy)).toBe(1);
  const hard = tasks.filter((t) => t.level === 4);
  expect(share(pocket, hard)).toBeLessThan(0.2);
  expect(share(clerk, hard)).toBeLessThan(0.3);
  expect(share(coder, hard)).toBeLessThan(0.7);
});

test('the coder is perfect at its own families and no better than the clerk elsewhere', () => {
  const own = new Set(['arithmetic', 'code reading', 'sequences', 'strings']);
  for (const family of Object.keys(FAMILIES)) {
    const chosen = tasks.filter((t) => t.family === family);
    if (own.has(family)) expect(share(coder, chosen), family).toBe(1);
    else expect(share(coder, chosen), family).toBe(share(clerk, chosen));
  }
});

test('what no program recognises is answered without an answer, not with a crash', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const program of PROGRAMS) expect(typeof replyOf(program, text)).toBe('string');
    }),
  );
  expect(replyOf(expert, 'Write a poem about rain')).not.toContain('Answer:');
});

test('evaluates as Python does', () => {
  expect(evaluate('2 + 3 * 4 - 5')).toBe(9);
  expect(evaluate('(2 + 3) * (4 - 5)')).toBe(-5);
  expect(evaluate('-7 // 2')).toBe(-4);
  expect(evaluate('-7 % 3')).toBe(2);
  expect(evaluate('10 - 4 - 3')).toBe(3);
  expect(evaluate('n % 2 == 0', new Map([['n', 6]]))).toBe(1);
  expect(evaluate('3 <= 2')).toBe(0);
  for (const text of ['', '2 +', '(2', 'x', '2 3', 'import os', '2 + 3; 4'])
    expect(() => evaluate(text), text).toThrow();
});

test('runs loops, conditions and loops in loops', () => {
  const code = `count = 0
for i in range(1, 5):
    for j in range(i, 5):
        if i * j % 2 == 0:
            count += j
        else:
            count -= 1
print(count)`;
  // Even products: (1,2) (1,4) (2,2) (2,3) (2,4) (3,4) (4,4): 2+4+2+3+4+4+4 = 23; odd: (1,1) (1,3) (3,3): −3.
  expect(runPython(code, { loopsOnce: false })).toBe('20');
  // Once through each loop: i = 1, j = 1, odd.
  expect(runPython(code, { loopsOnce: true })).toBe('-1');
});

test('gives up on code that runs on, or that it cannot read', () => {
  expect(runPython('x = 1\nwhile x > 0:\n    x += 1\nprint(x)', { loopsOnce: false })).toBeNull();
  expect(runPython('import os\nprint(1)', { loopsOnce: false })).toBeNull();
});
