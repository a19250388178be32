/** The strings of a JSON text where they stand, so that one can be replaced and every other byte stays as it is. */
import { endOfString } from '../../forward/edit-json.ts';

/** Member names and places in lists, from the outermost value inwards. */
export type Path = readonly (string | number)[];

export interface JsonText {
  /** Of the literal, quotes included. */
  readonly start: number;
  readonly end: number;
  /** As it reads: escapes resolved. Of a number, its digits, without the sign that stands before them. */
  readonly value: string;
  readonly isNumber: boolean;
}

/** @param literal as it is written: a string with its quotes @returns null: of no interest */
export type Wanted<T> = (path: Path, literal: string) => T | null;

/** Shorter numbers are nobody's. */
const SHORTEST_NUMBER = 8;

/** Steps between two places where whoever reads on may let others have their turn: some 0.1 ms. */
const STRIDE = 1000;

/**
 * Every string, and every long number, that is wanted; of members of one name each, not only the last. Deep nesting takes
 * no deep stack. Null now and then, where nothing was found for a while.
 *
 * @param json   valid JSON
 * @param wanted      what is made of it by its path, or null; the path changes once it is over
 * @param wantedName  the same for names of members
 */
export function* textsIn<T>(
  json: string,
  wanted: Wanted<T>,
  wantedName?: (name: string) => T | null,
): Generator<(JsonText & { readonly as: T }) | null> {
  const path: (string | number)[] = [];
  let isName = false;
  let i = 0;
  for (let steps = 1; i < json.length; steps++) {
    if (steps % STRIDE === 0) yield null;
    const character = json[i]!;
    if (character === '"') {
      const end = endOfString(json, i);
      if (isName) {
        const name = decoded(json.slice(i, end));
        path[path.length - 1] = name;
        isName = false;
        const as = wantedName?.(name) ?? null;
        if (as !== null) yield { start: i, end, value: name, isNumber: false, as };
      } else {
        const literal = json.slice(i, end);
        const as = wanted(path, literal);
        if (as !== null) yield { start: i, end, value: decoded(literal), isNumber: false, as };
      }
      i = end;
      continue;
    }
    if (character === '{') {
      path.push('');
      isName = true;
    } else if (character === '[') path.push(0);
    else if (character === '}' || character === ']') {
      path.pop();
      isName = false;
    } else if (character === ',') {
      if (typeof path[path.length - 1] === 'string') isName = true;
      else path[path.length - 1] = (path.at(-1) as number) + 1;
    } else if (character >= '0' && character <= '9') {
      let end = i + 1;
      while (end < json.length && '0123456789.eE+-'.includes(json[end]!)) end++;
      const as = end - i < SHORTEST_NUMBER ? null : wanted(path, json.slice(i, end));
      const start = json[i - 1] === '-' ? i - 1 : i;
      if (as !== null) yield { start, end, value: json.slice(i, end), isNumber: true, as };
      i = end;
      continue;
    }
    i++;
  }
}

const decoded = (literal: string): string =>
  literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);

/** The JSON text with other values in these places, which are in order. */
export function withTexts(json: string, changed: readonly Pick<JsonText, 'start' | 'end' | 'value'>[]): string {
  let out = '';
  let copied = 0;
  for (const { start, end, value } of changed) {
    out += json.slice(copied, start) + JSON.stringify(value);
    copied = end;
  }
  return out + json.slice(copied);
}

/** By its ends alone: all else is not worth a failed parse. */
export function mayBeJson(text: string): boolean {
  const bare = text.trim();
  return bare !== '' && CLOSED_BY[bare[0]!] === bare.at(-1);
}

const CLOSED_BY: Readonly<Record<string, string>> = { '{': '}', '[': ']', '"': '"' };

/** Undefined where it is none, or no object, list or string. */
export function parsed(text: string): unknown {
  if (!mayBeJson(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
