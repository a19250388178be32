/**
 * Practice tasks with one right answer each, generated from a seed: something to route when there is
 * no traffic yet. Ten families, four levels; what is asked grows with the level, and so does its text.
 */
import { deriveSeed, type Random, seededRandom, shuffled } from '../../datasets/index.ts';
import { codeReading, comparison, sequences, strings, wordProblems } from './families-reasoning.ts';
import { arithmetic, dates, extraction, ordering, units } from './families-work.ts';

/** 1 is what a look-up can do; 4 takes several steps without a slip. */
export type Level = 1 | 2 | 3 | 4;
export const LEVELS: readonly Level[] = [1, 2, 3, 4];

/** Makes one question and its answer. */
export type Family = (random: Random, level: Level) => { prompt: string; answer: string };

export const FAMILIES: Readonly<Record<string, Family>> = {
  arithmetic,
  'code reading': codeReading,
  comparison,
  dates,
  extraction,
  ordering,
  sequences,
  strings,
  units,
  'word problems': wordProblems,
};

export interface Task {
  readonly family: string;
  readonly level: Level;
  /** All that an upstream gets to see. */
  readonly prompt: string;
  /** Stays with whoever asks. */
  readonly answer: string;
}

/** `count` tasks, every family and level about equally often, in random order; no prompt twice. */
export function makeTasks(count: number, seed: number): Task[] {
  const random = seededRandom(deriveSeed(seed, 'demo-tasks'));
  const kinds = Object.entries(FAMILIES).flatMap(([family, make]) => LEVELS.map((level) => ({ family, level, make })));
  const tasks: Task[] = [];
  const seen = new Set<string>();
  while (tasks.length < count) {
    for (const { family, level, make } of shuffled(kinds, random)) {
      const { prompt, answer } = make(random, level);
      if (tasks.length === count || seen.has(prompt)) continue;
      seen.add(prompt);
      tasks.push({ family, level, prompt, answer });
    }
  }
  return tasks;
}

/**
 * Whether a reply gives the right answer. What counts stands after the last "Answer:"; spaces, case,
 * thousands separators and a closing full stop do not matter. Everything else has to be exact.
 */
export function isRight(task: Task, reply: string): boolean {
  const at = reply.toLowerCase().lastIndexOf('answer:');
  if (at < 0) return false;
  return normal(reply.slice(at + 'answer:'.length)) === normal(task.answer);
}

function normal(text: string): string {
  const plain = text
    .trim()
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/\s*,\s*/g, ',')
    .replace(/\s+/g, ' ');
  const number = Number(plain);
  return plain !== '' && Number.isFinite(number) ? String(number) : plain;
}
