/** Which strings of an answer are somebody's words, and whose; the others are names, ids and bytes. */
import { isObject } from '../../forward/usage.ts';
import type { SurfaceName } from '../../protocols/index.ts';
import type { Path } from './json-texts.ts';
import type { Voice } from './kinds/rules.ts';

type Json = Readonly<Record<string, unknown>>;

export interface Place {
  readonly voice: Voice;
  /** JSON written into a string: looked at value by value. */
  readonly isJson: boolean;
  /** Noticed and blocked, but never changed: what would break if it were, such as a schema. */
  readonly isFixed?: true;
  /** A file as base64, or an address of one: looked into where it holds text. */
  readonly isBytes?: true;
  /** Parts of one list are read as one text: the list of this one. */
  readonly list?: string;
  /** Stands beside the answer, and is none: not counted. */
  readonly isBeside?: true;
}

const place = (voice: Voice, isJson = false): Place => ({ voice, isJson });
export const PLACES = Object.fromEntries(
  (['system', 'user', 'assistant', 'tool'] as const).map((voice) => [voice, [place(voice), place(voice, true)]]),
) as unknown as Readonly<Record<Voice, readonly [Place, Place]>>;

/** Members of answers that hold no words: names, ids, addresses, bytes, seals. */
const NO_WORDS: ReadonlySet<string | number> = new Set([
  ...['type', 'role', 'id', 'name', 'index', 'status', 'format', 'detail', 'ttl', 'media_type', 'mime_type', 'phase'],
  ...[
    'tool_call_id',
    'tool_use_id',
    'call_id',
    'item_id',
    'file_id',
    'container_id',
    'encrypted_index',
    'server_label',
  ],
  ...['url', 'image_url', 'file_url', 'data', 'file_data', 'b64_json'],
  ...['signature', 'encrypted_content', 'thought_signature'],
]);

/** Files, and addresses of media: looked into where they hold text. */
const FILES = Object.fromEntries(
  (['system', 'user', 'assistant', 'tool'] as const).map((voice) => [voice, { voice, isJson: false, isBytes: true }]),
) as unknown as Readonly<Record<Voice, Place>>;

/** By the path of a string in a whole answer. */
export const answerPlaces =
  (surface: SurfaceName, json: Json) =>
  (path: Path, literal: string): Place | null => {
    if (surface === 'embeddings' || path.includes('logprobs')) return null;
    const isAnswer =
      surface === 'chat'
        ? path[0] === 'choices' && path[2] === 'message'
        : path[0] === (surface === 'responses' ? 'output' : 'content');
    const at: At = (holder) => valueAt(json, holder);
    if (!isAnswer) return besidePlaces(surface, path, literal, at);
    const place = wordsIn(path, 'assistant', at, literal);
    const item = path.length - 2;
    // What is said in several parts is read as one text.
    if (place !== PLACES.assistant[0] || path.at(-1) !== 'text' || typeof path[item] !== 'number') return place;
    return { ...place, list: path.slice(0, item).join('.') };
  };

/** A response that its provider keeps, or a page of what went into it: an answer wherever it stands. */
export const keptPlaces = (json: Json): ((path: Path, literal: string) => Place | null) => {
  const ofAnswer = answerPlaces('responses', json);
  return (path, literal) =>
    path[0] === 'data'
      ? wordsIn(path, 'assistant', (holder) => valueAt(json, holder), literal)
      : ofAnswer(path, literal);
};

/** Of a response: it repeats what it was asked with, which are no words of an answer. */
const ECHOED: ReadonlySet<string | number | undefined> = new Set([
  ...['instructions', 'metadata', 'tools', 'tool_choice', 'text', 'user', 'prompt', 'conversation', 'reasoning'],
  ...['previous_response_id', 'safety_identifier', 'prompt_cache_key', 'truncation', 'first_id', 'last_id'],
]);
/** Said in one word of a protocol. */
const SETTINGS: ReadonlySet<string | number> = new Set([
  ...['object', 'model', 'provider', 'service_tier', 'system_fingerprint', 'finish_reason', 'native_finish_reason'],
  ...['stop_reason', 'stop_sequence', 'stop_details', 'severity', 'reason', 'code', 'param', 'obfuscation', 'event'],
  ...['expires_at', 'created_at', 'inference_geo', 'matched_stop', 'token_ids', 'request_id', 'conversation_id'],
]);
const SETTING = /^"[\w.:/+=-]{0,200}"$/;
/** Pages that an answer is from. */
const PAGES = /^"https?:\/\/[^\s"\\]*"$/;

/** What stands beside an answer: of what hosts have added nobody knows what it is for, so all its strings are words. */
export function besidePlaces(surface: SurfaceName, path: Path, literal: string, at: At): Place | null {
  if (literal[0] !== '"') return null;
  if (surface === 'responses' && ECHOED.has(path[0])) return null;
  const last = path.findLast((step) => typeof step === 'string')!;
  if (SETTINGS.has(last) && SETTING.test(literal)) return null;
  if (path[0] === 'citations' && PAGES.test(literal)) return null;
  const place = wordsIn(path, 'assistant', at, literal);
  return place === null || place.isBytes ? place : { ...place, isBeside: true };
}

/** Names of members that are no plain identifiers say something, too; they cannot be changed. */
export const answerNames = (name: string): Place | null => (/^[\w$.:/-]{0,64}$/.test(name) ? null : NAME);
const NAME: Place = { voice: 'assistant', isJson: false, isFixed: true };

/** What a recording says: as a whole, and once more in pieces of a sentence or a word, which are read as one text. */
export function passedAnswerPlaces(path: Path, literal: string): Place | null {
  // A picture, or where it lies.
  if (path.length === 3 && path[0] === 'data' && path[2] === 'url') return FILES.assistant;
  const place = wordsIn(path, 'assistant', UNKNOWN, literal);
  const item = path.length - 2;
  if (place === null || typeof path[item] !== 'number') return place;
  return { ...place, list: path.slice(0, item).join('.') };
}

/** What stands at a path. */
export type At = (path: Path) => unknown;
export const UNKNOWN: At = () => undefined;

/**
 * @param at      what its holders are, as far as it is known
 * @param literal as it is written, with its quotes
 */
export function wordsIn(path: Path, voice: Voice, at: At, literal = '""'): Place | null {
  // What a tool is given is its own: a member called `id` there may be anything.
  if (path.indexOf('input', 1) > 0) return PLACES[voice][0];
  const last = path.findLast((step) => typeof step === 'string')!;
  if (last === 'arguments') return PLACES[voice][1];
  const isSaid = literal.length > EMPTY_LITERAL && literal[0] === '"';
  if (isSaid && isWithinBytes(path, at)) return FILES[voice];
  if (!NO_WORDS.has(last)) return PLACES[voice][0];
  if (!MAY_BE_FILES.has(last) || !isSaid) return null;
  const type = typeOf(at(path.slice(0, path.lastIndexOf(last))));
  // A document as plain text.
  if (last === 'data' && type === 'text') return PLACES[voice][0];
  return isFile(path, last, literal, type) ? FILES[voice] : null;
}

const MAY_BE_FILES: ReadonlySet<string | number> = new Set(['url', 'image_url', 'file_url', 'data']);
/** Bytes, whatever form they have: a string, a list of such, or an object. */
const BYTES: ReadonlySet<string | number> = new Set(['b64_json', 'file_data', 'partial_image_b64', 'result']);
/** `""` */
const EMPTY_LITERAL = 2;

const isWithinBytes = (path: Path, at: At): boolean =>
  path.some(
    (step, i) => BYTES.has(step) && (step !== 'result' || typeOf(at(path.slice(0, i))) === 'image_generation_call'),
  );

const typeOf = (holder: unknown): unknown => (isObject(holder) ? holder.type : undefined);

const MEDIA_TYPES: ReadonlySet<unknown> = new Set(['image', 'audio', 'video']);

/** Bytes, and addresses of what was painted or said. Those of what was read are not: a page that is cited is no part of the answer. */
function isFile(path: Path, name: string | number, literal: string, type: unknown): boolean {
  // What was thought, sealed by its host.
  if (name === 'data') return type !== 'redacted_thinking';
  if (/^"\s*data:/i.test(literal) || (name === 'url' && path.at(-2) === 'source')) return true;
  return MEDIA_TYPES.has(type) || path.some((step) => /^(?:image|audio|video)_url$/.test(String(step)));
}

export function voiceOfRole(role: unknown): Voice {
  if (role === 'system' || role === 'developer') return 'system';
  if (role === 'tool' || role === 'function') return 'tool';
  return role === 'assistant' ? 'assistant' : 'user';
}

export function valueAt(json: unknown, path: Path): unknown {
  let value = json;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

/** What each choice of a whole answer says; none of those that call a tool or refuse. */
export function answersOf(surface: SurfaceName, json: Json): string[] {
  if (surface === 'chat') return listOf(json.choices).flatMap((choice) => chatAnswer(choice.message));
  const blocks = surface === 'responses' ? listOf(json.output) : surface === 'messages' ? listOf(json.content) : [];
  const said: string[] = [];
  for (const block of blocks) {
    if (block.type === 'text' && typeof block.text === 'string') said.push(block.text);
    if (typeof block.type === 'string' && /^tool_use$|^function_call$|^custom_tool_call$/.test(block.type)) return [];
    if (block.type !== 'message') continue;
    for (const part of listOf(block.content)) {
      if (part.type === 'refusal') return [];
      if (part.type === 'output_text' && typeof part.text === 'string') said.push(part.text);
    }
  }
  return surface === 'embeddings' ? [] : [said.join('')];
}

function chatAnswer(message: unknown): string[] {
  if (!isObject(message)) return [];
  const { content, tool_calls: calls, function_call: call, refusal } = message;
  if ((Array.isArray(calls) && calls.length > 0) || call != null || (typeof refusal === 'string' && refusal !== '')) {
    return [];
  }
  if (typeof content === 'string') return [content];
  return [
    listOf(content)
      .map(({ text }) => (typeof text === 'string' ? text : ''))
      .join(''),
  ];
}

const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

/** The client asked for JSON, so a change must leave it JSON. */
export function asksForJson(surface: SurfaceName, request: Json): boolean {
  const at = (...path: string[]) => valueAt(request, [...path, 'type']);
  const type =
    surface === 'chat'
      ? at('response_format')
      : surface === 'responses'
        ? at('text', 'format')
        : (at('output_config', 'format') ?? at('output_format'));
  return type === 'json_object' || type === 'json_schema';
}
