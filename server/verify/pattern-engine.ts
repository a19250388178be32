/** Regular expressions by RE2's rules: matching takes time in proportion to the text, whatever the pattern. */
import { createRequire } from 'node:module';

/** Whether the pattern matches somewhere. */
export type Matches = (text: string) => boolean;

// Loaded with the first pattern: most gateways have none.
const engine = (): typeof import('re2js') => createRequire(import.meta.url)('re2js');

/** @throws Error where it is no pattern; {@link patternFault} says why */
export function compilePattern(pattern: string): Matches {
  const compiled = engine().RE2JS.compile(pattern);
  return (text) => compiled.matcher(text).find();
}

/** What is wrong with a pattern, for people; null: nothing. */
export function patternFault(pattern: string): string | null {
  try {
    compilePattern(pattern);
    return null;
  } catch (fault) {
    const { error, input } = fault as { error?: unknown; input?: unknown };
    if (typeof error !== 'string' || typeof input !== 'string') return 'it cannot be compiled';
    const at = pattern.indexOf(input);
    const place = at < 0 || input === pattern ? '' : ` at character ${at + 1}`;
    return `${error}${place}: ${input}`;
  }
}
