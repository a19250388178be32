/** Numbers of the command line: read, or refused with what is wanted, and said with what they count. */
import { InvalidArgumentError } from 'commander';

/** Any number; an empty one is a variable that is not set. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('give a number.');
  return value;
}

/** A whole number of 0 or more. */
export function natural(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0) {
    throw new InvalidArgumentError('give a whole number of 0 or more.');
  }
  return value;
}

/** A whole number of 1 or more. */
export function positive(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError('give a whole number of 1 or more.');
  }
  return value;
}

/** A whole number in a range, ends included. */
export const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < least || value > most) {
      throw new InvalidArgumentError(`give a whole number from ${least} to ${most}.`);
    }
    return value;
  };
