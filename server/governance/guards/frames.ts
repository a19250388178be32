/** Where the words are in the frames of a stream, by the client's protocol. */
import { isObject } from '../../forward/usage.ts';
import type { Path } from './json-texts.ts';
import { type At, besidePlaces, type Place, valueAt, wordsIn } from './places.ts';

type Json = Record<string, unknown>;

/** A piece of one of the stream's texts, in a frame. */
export interface Slot {
  /** Names the text; what belongs together begins alike, up to the last `/`. */
  readonly channel: string;
  readonly kind: 'said' | 'thought' | 'json';
  readonly text: string;
  set(text: string): void;
  /** A frame with nothing but another piece of the same text. */
  readonly carry: (text: string) => Json;
}

export interface FrameParts {
  readonly slots: readonly Slot[];
  /** Texts that are over before this frame is sent: names, or how they begin. */
  readonly closesBefore: readonly string[];
  /** Texts of which this frame has the last piece. */
  readonly closesWith: readonly string[];
  /** Other strings of it that are words; null: none. */
  readonly words: ((path: Path, literal: string) => Place | null) | null;
  /** They have come piece by piece before. */
  readonly isRepeat: boolean;
  /** Nothing but its slots: without a text in them, it need not be sent. */
  readonly isBare: boolean;
}

const PLAIN: FrameParts = {
  slots: [],
  closesBefore: [],
  closesWith: [],
  words: null,
  isRepeat: false,
  isBare: false,
};

export const FRAME_PARTS = { chat: chatParts, responses: responsesParts, messages: messagesParts };

const SAID = ['content', 'refusal'];
const THOUGHT = ['reasoning_content', 'reasoning'];

function chatParts(frame: Json): FrameParts {
  const slots: Slot[] = [];
  const closesBefore: string[] = [];
  const closesWith: string[] = [];
  let isBare = frame.usage == null;
  let hasOthers = hasOther(frame, OF_CHAT);
  // Whatever a host has written in their place.
  if (frame.choices !== undefined && !(Array.isArray(frame.choices) && frame.choices.every(isObject))) hasOthers = true;
  isBare &&= !hasOthers;
  for (const choice of objects(frame.choices)) {
    const index = typeof choice.index === 'number' ? choice.index : 0;
    const delta = isObject(choice.delta) ? (choice.delta as Json) : {};
    const carry = (fields: Json): Json => ({
      ...frame,
      choices: [{ index, delta: fields, finish_reason: null }],
      ...(frame.usage !== undefined && { usage: null }),
    });
    const slot = (name: string, kind: Slot['kind'], holder: Json, key: string, again: (text: string) => Json) => {
      const text = holder[key];
      if (typeof text !== 'string' || text === '') return;
      const set = (other: string) => {
        holder[key] = other;
      };
      slots.push({ channel: `${index}/${name}`, kind, text, set, carry: (other) => carry(again(other)) });
    };
    // As completions of a prompt have it.
    if (typeof choice.text === 'string' && choice.text !== '') {
      const set = (other: string) => {
        (choice as Json).text = other;
      };
      const again = (text: string) => ({ ...frame, choices: [{ index, text, finish_reason: null }] });
      slots.push({ channel: `${index}/text`, kind: 'said', text: choice.text, set, carry: again });
    }
    for (const field of SAID) slot(field, 'said', delta, field, (text) => ({ [field]: text }));
    for (const field of THOUGHT) slot(`thought/${field}`, 'thought', delta, field, (text) => ({ [field]: text }));
    // Mistral's list of parts.
    for (const part of objects(delta.content)) {
      slot('content', 'said', part, 'text', (text) => ({ content: [{ type: 'text', text }] }));
      for (const piece of objects(part.thinking)) {
        const again = (text: string) => ({ content: [{ type: 'thinking', thinking: [{ type: 'text', text }] }] });
        slot('thought/content', 'thought', piece, 'text', again);
      }
    }
    for (const detail of objects(delta.reasoning_details)) {
      for (const field of ['text', 'summary']) {
        const again = (text: string) => ({ reasoning_details: [{ ...detail, [field]: text }] });
        slot(`thought/details/${detail.index ?? 0}/${field}`, 'thought', detail, field, again);
      }
    }
    for (const [i, call] of objects(delta.tool_calls).entries()) {
      if (!isObject(call.function)) continue;
      const at = typeof call.index === 'number' ? call.index : i;
      const again = (text: string) => ({ tool_calls: [{ index: at, function: { arguments: text } }] });
      slot(`calls/${at}`, 'json', call.function as Json, 'arguments', again);
    }
    if (isObject(delta.function_call)) {
      const again = (text: string) => ({ function_call: { arguments: text } });
      slot('call', 'json', delta.function_call as Json, 'arguments', again);
    }
    if (isObject(delta.audio)) {
      slot('audio', 'said', delta.audio as Json, 'transcript', (transcript) => ({ audio: { transcript } }));
    }
    // What was thought is over once something is said: clients show the one before the other.
    if (slots.some(({ kind, channel }) => kind !== 'thought' && channel.startsWith(`${index}/`))) {
      closesBefore.push(`${index}/thought/`);
    }
    if (hasOther(choice, OF_CHOICE) || (choice.delta != null && !isObject(choice.delta))) hasOthers = true;
    hasOthers ||= Object.entries(delta).some(([key, value]) => value != null && !READ.has(key));
    if (typeof choice.finish_reason === 'string') closesWith.push(`${index}/`);
    isBare &&=
      choice.finish_reason == null &&
      !hasOther(choice, OF_CHOICE) &&
      Object.entries(delta).every(([key, value]) => isWords(key, value));
  }
  const words = hasOthers ? otherInChat(frame) : null;
  return { ...PLAIN, slots, closesBefore, closesWith, words, isBare: isBare && slots.length > 0 };
}

/** Members of a delta that are read piece by piece, or hold no words. */
const READ: ReadonlySet<unknown> = new Set([
  ...[...SAID, ...THOUGHT, 'role', 'reasoning_details', 'tool_calls', 'function_call', 'audio'],
]);

/** Members of a chunk, and of a choice, that are read piece by piece, or hold no words. */
const OF_CHAT = new Set(['id', 'object', 'created', 'model', 'choices', 'usage', 'service_tier', 'system_fingerprint']);
const OF_CHOICE = new Set(['index', 'delta', 'finish_reason', 'native_finish_reason', 'logprobs', 'text']);
const hasOther = (holder: Readonly<Json>, known: ReadonlySet<string>): boolean => {
  for (const name in holder) if (!known.has(name) && holder[name] != null) return true;
  return false;
};

/** What hosts have added: in the delta, beside it, and beside the choices. */
const otherInChat = (frame: Json) => {
  const at: At = (path) => valueAt(frame, path);
  return (path: Path, literal: string): Place | null => {
    if (path.includes('logprobs')) return null;
    if (path[0] !== 'choices' || path[2] !== 'delta') {
      // A string there was a piece of a text.
      const isSlot = path[0] === 'choices' && path.length === 3 && path[2] === 'text';
      return isSlot ? null : besidePlaces('chat', path, literal, at);
    }
    return path.length > 3 && READ.has(path[3]) ? null : wordsIn(path, 'assistant', at, literal);
  };
};

/** A call's first piece tells its id and name. */
const isWords = (key: string, value: unknown): boolean =>
  value == null ||
  SAID.includes(key) ||
  THOUGHT.includes(key) ||
  (key === 'tool_calls' &&
    objects(value).every(({ id, function: fn }) => id == null && isObject(fn) && fn.name == null));

const DELTAS: Readonly<Record<string, Slot['kind']>> = { text: 'said', thinking: 'thought', partial_json: 'json' };

function messagesParts(frame: Json): FrameParts {
  const channel = `${frame.index}/`;
  if (frame.type === 'content_block_stop') return { ...PLAIN, closesBefore: [channel] };
  if (frame.type === 'message_delta' || frame.type === 'message_stop') {
    return { ...PLAIN, closesBefore: [''], words: allWords(frame, 'messages') };
  }
  if (frame.type === 'ping') return PLAIN;
  if (frame.type !== 'content_block_delta' || !isObject(frame.delta)) {
    return { ...PLAIN, words: allWords(frame, 'messages') };
  }
  const delta = frame.delta as Json;
  if (delta.type === 'signature_delta') return { ...PLAIN, closesBefore: [channel] };
  for (const [field, kind] of Object.entries(DELTAS)) {
    const text = delta[field];
    if (typeof text !== 'string' || text === '') continue;
    const set = (other: string) => {
      delta[field] = other;
    };
    const carry = (other: string) => ({ ...frame, delta: { type: delta.type, [field]: other } });
    return { ...PLAIN, slots: [{ channel, kind, text, set, carry }], isBare: true };
  }
  return { ...PLAIN, words: allWords(frame, 'messages') };
}

function responsesParts(frame: Json): FrameParts {
  const type = typeof frame.type === 'string' ? frame.type : '';
  if (/^response\.(completed|incomplete|failed)$/.test(type)) {
    return { ...PLAIN, closesBefore: [''], words: allWords(frame, 'responses', 'response'), isRepeat: true };
  }
  if (/^response\.(created|queued|in_progress)$/.test(type) || !type.startsWith('response.')) {
    return { ...PLAIN, words: allWords(frame, 'responses', 'response') };
  }
  const item = `${frame.output_index}/`;
  const base = type.slice(0, type.lastIndexOf('.'));
  const channel = `${item}${base}/${frame.content_index ?? frame.summary_index ?? 0}/`;
  const otherWords = otherIn(frame);
  if (!type.endsWith('.delta')) {
    const isOver = type.endsWith('.done');
    const closesBefore = !isOver ? [] : type === 'response.output_item.done' ? [item] : [channel];
    return { ...PLAIN, closesBefore, words: otherWords, isRepeat: isOver };
  }
  if (typeof frame.delta !== 'string') return { ...PLAIN, words: otherWords };
  if (frame.delta === '') return PLAIN;
  // Sound, as bytes.
  if (type === 'response.audio.delta') return PLAIN;
  const set = (text: string) => {
    frame.delta = text;
  };
  const carry = (text: string) => ({ ...frame, delta: text });
  const kind = /arguments/.test(type) ? 'json' : /reasoning/.test(type) ? 'thought' : 'said';
  return { ...PLAIN, slots: [{ channel, kind, text: frame.delta, set, carry }], isBare: true };
}

/** All but what names the frame. */
const otherIn = (frame: Json) => {
  const at: At = (path) => valueAt(frame, path);
  return (path: Path, literal: string): Place | null =>
    path.length === 1 && path[0] === 'delta' ? null : wordsIn(path, 'assistant', at, literal);
};

/** @param within the member that an answer is in, where it is in one */
const allWords = (frame: Json, surface: 'messages' | 'responses', within?: string) => {
  const at: At = (path) => valueAt(frame, path);
  return (path: Path, literal: string): Place | null => {
    if (within === undefined || path[0] !== within) return besidePlaces(surface, path, literal, at);
    const inside = path.slice(1);
    if (inside[0] === 'output') return wordsIn(path, 'assistant', at, literal);
    return besidePlaces(surface, inside, literal, (holder) => valueAt(frame[within], holder));
  };
};

const objects = (value: unknown): Json[] => (Array.isArray(value) ? (value.filter(isObject) as Json[]) : []);
