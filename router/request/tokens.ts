/** How many tokens a text or a value is, without a tokenizer: what is needed to see whether it fits and what it costs. */
import { RoutingError } from '../../datasets/index.ts';

export const IMAGE_TOKENS = 1000;

/** A page of a PDF is some 100 kB in base64 and some 2 500 tokens. Rough: no fact of a file is read. */
const FILE_CHARS_PER_TOKEN = 40;

/** Sealed reasoning is text of 4 characters a token, in base64: a third longer. */
const SEALED_CHARS_PER_TOKEN = 5;

/**
 * Tokens of a text, without a tokenizer: 4 characters each in ASCII, 2 in other alphabets, 1 in
 * scripts without spaces and in emoji. Rather too many than too few: it decides what fits a context.
 */
export function estimateTokens(text: string): number {
  // As many bytes as characters: ASCII, which most text is, and told a hundred times faster than by looking at each.
  if (Buffer.byteLength(text) === text.length) return text.length / 4;
  let quarters = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    quarters += c < 0x80 ? 1 : c < 0x2e80 ? 2 : 4;
  }
  return quarters / 4;
}

/** Tokens of a value as JSON. @throws `INVALID_REQUEST` when it is nested too deeply to be written */
export const jsonTokens = (value: unknown): number => estimateTokens(jsonOf(value));

/** Tokens of a file, or of a part that nobody here knows. */
export const fileTokens = (value: unknown): number => jsonOf(value).length / FILE_CHARS_PER_TOKEN;

/** Tokens of reasoning that only the model which wrote it can read. */
export const sealedTokens = (value: unknown): number =>
  typeof value === 'string' ? value.length / SEALED_CHARS_PER_TOKEN : 0;

/** @throws `INVALID_REQUEST` when it is nested too deeply to be written */
export function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch (cause) {
    throw new RoutingError('INVALID_REQUEST', 'request: nested too deeply to be read', { cause });
  }
}
