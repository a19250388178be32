import { expect, test } from 'vitest';
import { FAMILIES, isRight, LEVELS, makeTasks, type Task } from '../../../server/demo/tasks.ts';

test('makes the same tasks from the same seed, and other ones from another', () => {
  expect(makeTasks(200, 1)).toEqual(makeTasks(200, 1));
  const prompts = new Set(makeTasks(200, 1).map((t) => t.prompt));
  expect(makeTasks(200, 2).filter((t) => prompts.has(t.prompt)).length).toBeLessThan(20);
});

test('covers every family and level about equally, and asks nothing twice', () => {
  const tasks = makeTasks(400, 3);
  expect(new Set(tasks.map((t) => t.prompt)).size).toBe(400);
  for (const family of Object.keys(FAMILIES)) {
    for (const level of LEVELS) {
      const count = tasks.filter((t) => t.family === family && t.level === level).length;
      expect(count, `${family} ${level}`).toBeGreaterThanOrEqual(8);
    }
  }
});

test('never puts its answer in plain sight of a reader of numbers: prompt and answer are separate', () => {
  for (const { prompt, answer } of makeTasks(400, 5)) {
    expect(prompt).not.toContain('Answer:');
    expect(answer).not.toMatch(/NaN|undefined|Infinity/);
    expect(answer.trim()).not.toBe('');
  }
});

const task = (answer: string): Task => ({ family: 'x', level: 1, prompt: '', answer });

test.each([
  ['42', 'Answer: 42'],
  ['42', 'I think so.\nanswer: 42.'],
  ['42', 'Answer: 41? No.\nAnswer: 42.0'],
  ['a, b', 'Answer:  A,b'],
  ['INV-1', 'Answer: inv-1'],
])('takes %s as given by %j', (answer, reply) => {
  expect(isRight(task(answer), reply)).toBe(true);
});

test.each([
  ['42', '42'],
  ['42', 'Answer: 421'],
  ['42', 'Answer: 42 or 43'],
  ['a, b', 'Answer: b, a'],
  ['-3', 'Answer: 3'],
  ['42', ''],
])('does not take %s as given by %j', (answer, reply) => {
  expect(isRight(task(answer), reply)).toBe(false);
});
