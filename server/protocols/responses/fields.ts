/** Reads fields of a client's request; every complaint begins with the path of the field at fault. */
import { RoutingError } from '../../../datasets/index.ts';
import { isObject } from '../../forward/usage.ts';

export type Json = Readonly<Record<string, unknown>>;

export function refuse(path: string, message: string): never {
  throw new RoutingError('INVALID_REQUEST', `${path}: ${message}`);
}

export const text = (value: unknown, path: string): string =>
  typeof value === 'string' ? value : refuse(path, 'must be a text');

export const object = (value: unknown, path: string): Json =>
  isObject(value) ? value : refuse(path, 'must be an object');

export const list = (value: unknown, path: string): readonly unknown[] =>
  Array.isArray(value) ? value : refuse(path, 'must be a list');

export function oneOf<T extends string>(value: unknown, allowed: readonly T[], path: string): T {
  const found = allowed.find((name) => name === value);
  return found ?? refuse(path, `must be one of ${allowed.join(', ')}`);
}

/** OpenAI takes null for "not given" nearly everywhere. */
export const optional = <T>(value: unknown, path: string, read: (value: unknown, path: string) => T): T | undefined =>
  value === undefined || value === null ? undefined : read(value, path);

export const number = (value: unknown, path: string): number =>
  typeof value === 'number' && Number.isFinite(value) ? value : refuse(path, 'must be a number');

export const whole = (value: unknown, path: string): number =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : refuse(path, 'must be a whole number');

export const flag = (value: unknown, path: string): boolean =>
  typeof value === 'boolean' ? value : refuse(path, 'must be true or false');
