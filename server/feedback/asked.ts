/** What a request asks, in numbers that tell whether it asks the same again; its text is looked at and not kept. */
import { createHash } from 'node:crypto';
import { isObject } from '../forward/usage.ts';

export interface Asked {
  /** Of the whole body: the same for the same bytes. */
  readonly bodyHash: string;
  /** What the conversation is known again by: its session, if one was told, and how it began. Null where a provider holds its beginning. */
  readonly thread: string | null;
  /** Answers that it holds already. */
  readonly answers: number;
  /** A person has spoken since the last of them: it is no step of a tool loop. */
  readonly isPersons: boolean;
  /** Of what the person said last; null where that is too short to be a question. */
  readonly questionHash: string | null;
  /** Counts of its character trigrams by hash, in {@link DIMENSIONS} places; null as above. */
  readonly sketch: Float32Array | null;
}

const DIMENSIONS = 256;
/** Shorter ones (`continue`, `yes, do that`) are said again without being asked again. */
const FEWEST_CHARS = 16;
/** Of longer texts head and tail are looked at, so that no request takes long. */
const MOST_CHARS = 4000;
const MOST_BODY_CHARS = 64_000;

/**
 * Reads a body of any of the three protocols; what it cannot read it passes over.
 * @param text    the body without what is the gateway's own
 * @param session as told by the client
 */
export function askedIn(json: Readonly<Record<string, unknown>>, text: string, session: string | null): Asked {
  const { messages, input } = json;
  const items: unknown[] = Array.isArray(messages)
    ? messages
    : Array.isArray(input)
      ? input
      : [{ role: 'user', content: input }];
  let answers = 0;
  let inAnswer = false;
  let isPersons = false;
  let first: string | null = null;
  let last = '';
  for (const item of items) {
    const by = speakerOf(item);
    if (by === 'model') {
      if (!inAnswer) answers++;
      isPersons = false;
    } else if (by === 'person') {
      last = textOf((item as { content?: unknown }).content);
      first ??= last;
      isPersons = true;
    }
    if (by !== null) inAnswer = by === 'model';
  }
  const isElsewhere = json.previous_response_id != null || json.conversation != null;
  const isQuestion = last.trim().length >= FEWEST_CHARS;
  return {
    bodyHash: hash(String(text.length), cut(text, MOST_BODY_CHARS)),
    thread: first === null || isElsewhere ? null : hash(session ?? instructionsOf(json, items), first),
    answers,
    isPersons,
    questionHash: isQuestion ? hash(last.trim()) : null,
    sketch: isQuestion ? sketchOf(last) : null,
  };
}

/** Cosine in [−1, 1] of vectors of one length; 0 beside one that is all zero. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}

/** Null: instructions, or nothing known. */
function speakerOf(item: unknown): 'person' | 'model' | 'tool' | null {
  if (!isObject(item)) return null;
  const { role, type, content } = item;
  if (role === 'assistant' || type === 'reasoning') return 'model';
  if (role === 'tool' || role === 'function') return 'tool';
  if (typeof type === 'string' && type.endsWith('_call')) return 'model';
  if (typeof type === 'string' && type.endsWith('_call_output')) return 'tool';
  if (role !== 'user') return null;
  if (Array.isArray(content) && content.some((part) => isObject(part) && part.type === 'tool_result')) return 'tool';
  return textOf(content).trim() === '' ? null : 'person';
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return cut(content, MOST_CHARS);
  if (!Array.isArray(content)) return '';
  const texts = content.map((part) => (isObject(part) && typeof part.text === 'string' ? part.text : ''));
  return cut(texts.filter((text) => text !== '').join('\n'), MOST_CHARS);
}

function instructionsOf(json: Readonly<Record<string, unknown>>, items: readonly unknown[]): string {
  const system = items.find((item) => isObject(item) && (item.role === 'system' || item.role === 'developer'));
  return textOf(json.system ?? json.instructions ?? (system as { content?: unknown } | undefined)?.content);
}

function sketchOf(text: string): Float32Array {
  const sketch = new Float32Array(DIMENSIONS);
  const plain = text.toLowerCase().replace(/\s+/g, ' ').trim();
  for (let i = 0; i + 2 < plain.length; i++) {
    const gram = plain.charCodeAt(i) * 961 + plain.charCodeAt(i + 1) * 31 + plain.charCodeAt(i + 2);
    // Fibonacci hashing: the upper bits of the product are well mixed.
    sketch[Math.imul(gram, 0x9e3779b1) >>> 24]!++;
  }
  return sketch;
}

const cut = (text: string, most: number): string =>
  text.length <= most ? text : text.slice(0, most / 2) + text.slice(text.length - most / 2);

function hash(...parts: readonly string[]): string {
  let text = '';
  // Lengths before them: no two lists of parts run together into the same text.
  for (const part of parts) text += `${part.length}:${part}`;
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
