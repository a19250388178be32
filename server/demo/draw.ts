/** Random choices from a seeded stream, for the generated tasks. */
import type { Random } from '../../datasets/index.ts';

/** A whole number from `low` to `high`, both included. */
export const whole = (random: Random, low: number, high: number): number =>
  low + Math.floor(random() * (high - low + 1));

export const oneOf = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random() * items.length)]!;

/** `count` different items. @throws nothing; gives fewer when there are fewer */
export function someOf<T>(random: Random, items: readonly T[], count: number): T[] {
  const left = [...items];
  const out: T[] = [];
  while (out.length < count && left.length > 0) out.push(left.splice(whole(random, 0, left.length - 1), 1)[0]!);
  return out;
}

export const NAMES = [
  'Ana',
  'Ben',
  'Chloe',
  'David',
  'Ella',
  'Farid',
  'Grace',
  'Hugo',
  'Ines',
  'Jonas',
  'Kira',
  'Liam',
];
