/** A request of hundreds of thousands of tiny parts costs far more to read than its bytes say: it is refused. */
import { isObject } from '../forward/usage.ts';
import { FieldError } from './errors.ts';

/** Turns and their parts, in all. Hosts take far fewer. */
export const MOST_PARTS = 10_000;

/** @throws FieldError naming the list that is too long */
export function refuseTooManyParts(request: Readonly<Record<string, unknown>>): void {
  for (const field of Object.keys(request)) {
    if (partsIn(request[field], MOST_PARTS) > MOST_PARTS) {
      throw new FieldError(field, `holds more than ${MOST_PARTS} turns and parts in all`);
    }
  }
}

/**
 * Items of lists at any depth but numbers, which are tokens of what is to be embedded; what a tool is given is one part.
 *
 * @param most where counting may end
 */
function partsIn(value: unknown, most: number): number {
  let count = 0;
  const see = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const item of value) {
        if (typeof item === 'number') continue;
        if (++count > most) return;
        see(item);
      }
    } else if (isObject(value)) {
      for (const name of Object.keys(value)) {
        if (!GIVEN.has(name)) see((value as Record<string, unknown>)[name]);
        if (count > most) return;
      }
    }
  };
  see(value);
  return count;
}

/** What a tool is given, and schemas of it. */
const GIVEN: ReadonlySet<string> = new Set(['input', 'parameters', 'input_schema', 'schema']);
