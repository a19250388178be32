/**
 * Which strings of a request are somebody's words, and whose. All are, wherever they stand and whatever they are called,
 * but for a short list of ids, bytes and addresses of media, which are known by their name and by what they look like.
 */
import { isObject } from '../../forward/usage.ts';
import type { SurfaceName } from '../../protocols/index.ts';
import type { Path, Wanted } from './json-texts.ts';
import type { Voice } from './kinds/rules.ts';
import { PLACES, type Place, valueAt, voiceOfRole } from './places.ts';

type Json = Readonly<Record<string, unknown>>;

/** `passed`: what goes to its provider as it is, such as a text to be spoken or painted. */
export type GuardedSurface = SurfaceName | 'passed';

const FIXED = Object.fromEntries(
  (['system', 'user', 'assistant', 'tool'] as const).map((voice) => [voice, { voice, isJson: false, isFixed: true }]),
) as unknown as Readonly<Record<Voice, Place>>;

const FILES = Object.fromEntries(
  (['system', 'user', 'assistant', 'tool'] as const).map((voice) => [voice, { voice, isJson: false, isBytes: true }]),
) as unknown as Readonly<Record<Voice, Place>>;

const setOf = (words: string): ReadonlySet<string | number | undefined> => new Set(words.split(' '));

/** Ids and words of a protocol, where they look like it. */
const TOKENS = setOf(
  'type role id index status format detail ttl media_type mime_type phase effort strict tool_call_id tool_use_id call_id ' +
    'item_id file_id container_id previous_response_id encrypted_index server_label cache_control signature ' +
    'encrypted_content thought_signature',
);
const SEALS = setOf('signature encrypted_content thought_signature encrypted_index');
const BYTES = setOf('data file_data b64_json result');
const MEDIA = setOf('url image_url file_url video_url audio_url');

/** Members of the request that set something, or are an id. */
const SETTINGS = setOf(
  'model models seed stream stream_options service_tier reasoning thinking reasoning_effort verbosity truncation include ' +
    'modalities prompt_cache_key prompt_cache_retention previous_response_id conversation container safety_identifier ' +
    'user audio speed inference_geo betas provider plugins route transforms cache_control context_management ' +
    'encoding_format dimensions logit_bias size quality background style voice output_format moderation n created',
);
/** What the answer is to be like, and what may be called: by whoever wrote the program. */
const DECLARED = setOf('tools functions tool_choice function_call response_format text output_config mcp_servers');
/** Read by programs. */
const LABELS = setOf('metadata stop stop_sequences');
/** Secrets by intention: a tool's server asks for them. */
const CREDENTIALS = setOf('authorization authorization_token headers');

/** By the path of a string in a request's JSON text. */
export function promptPlaces(surface: GuardedSurface, json: Json): Wanted<Place> {
  return (path, literal) => {
    const isNumber = literal[0] !== '"';
    const top = path[0];
    const voice = VOICES[surface](path, json);
    if (voice !== null) return inTurn(surface, path, literal, voice, json);
    if (isNumber) return SETTINGS.has(top) || DECLARED.has(top) || LABELS.has(top) ? null : PLACES.user[0];
    if (top === 'output_format' && path.length > 1) return declared(path, literal);
    if (SETTINGS.has(top) || surface === 'passed') return unlessToken(literal, 'user');
    if (DECLARED.has(top)) return declared(path, literal);
    if (LABELS.has(top)) return FIXED.user;
    // Nobody knows what it is for: its provider may read it to the model.
    return inTurn(surface, path, literal, 'user', json);
  };
}

/** Names that are no plain identifiers say something, too: `{"joe@example.com": true}`. */
export const promptNames = (name: string): Place | null => (/^[\w$.:/-]{0,64}$/.test(name) ? null : FIXED.user);

function declared(path: Path, literal: string): Place | null {
  if (path.some((step) => CREDENTIALS.has(step as string))) return null;
  const last = path.at(-1);
  if (last === 'description' || last === 'title') return PLACES.system[0];
  return last === 'type' ? unlessToken(literal, 'system') : FIXED.system;
}

function inTurn(surface: GuardedSurface, path: Path, literal: string, voice: Voice, json: Json): Place | null {
  // What a tool is given is its own: a member called `id` there may be anything.
  if (path.indexOf('input', 1) > 0) return PLACES[voice][0];
  const last = path.findLast((step) => typeof step === 'string');
  if (last === 'arguments') return PLACES[voice][1];
  const isNumber = literal[0] !== '"';
  if (TOKENS.has(last)) return isNumber ? null : unlessToken(literal, voice, SEALS.has(last));
  if (isNumber) return PLACES[voice][0];
  if (last === 'name') return isNameOfPerson(path, json) ? PLACES[voice][0] : FIXED[voice];
  if (BYTES.has(last) || MEDIA.has(last)) {
    const holder = valueAt(json, path.slice(0, path.lastIndexOf(last!)));
    // What was thought, sealed by its host.
    if (last === 'data' && isObject(holder) && holder.type === 'redacted_thinking') {
      return unlessToken(literal, voice, true);
    }
    if (BYTES.has(last) ? isBytes(path, last!, literal, holder) : isMedia(path, last!, holder)) return FILES[voice];
  }
  return listed(surface, path, voice);
}

/** Texts of one list, which the model reads as one. Texts to be embedded are each their own. */
function listed(surface: GuardedSurface, path: Path, voice: Voice): Place {
  const item = path.at(-1) === 'text' ? path.length - 2 : path.length - 1;
  const isItem = typeof path[item] === 'number' && item > 1;
  const isBlock = item === 1 && path[0] !== 'messages' && surface !== 'embeddings' && surface !== 'passed';
  if (!isItem && !isBlock) return PLACES[voice][0];
  return { voice, isJson: false, list: path.slice(0, item).join('.') };
}

const MOST_TOKEN_CHARS = 500;

function unlessToken(literal: string, voice: Voice, isSeal = false): Place | null {
  if (!isSeal && literal.length > MOST_TOKEN_CHARS) return FIXED[voice];
  return /[^\w.:/+=|,*~-]/.test(literal.slice(1, -1)) ? FIXED[voice] : null;
}

/** What its provider decodes: then whatever stands there is a file, if only a damaged one. Else what looks like one. */
function isBytes(path: Path, name: string | number, literal: string, holder: unknown): boolean {
  const { type, media_type, mime_type, format } = isObject(holder) ? holder : ({} as Json);
  // A document as plain text.
  if (typeof type === 'string' && (/text$/.test(type) || type === 'content')) return false;
  if (name === 'result') return type === 'image_generation_call';
  if (name !== 'data' || type === 'base64' || [media_type, mime_type, format].some(isWord)) return true;
  const around = path[path.lastIndexOf(name) - 1];
  return around === 'source' || around === 'input_audio' || looksEncoded(readAs(literal));
}

const isWord = (value: unknown): boolean => typeof value === 'string' && value !== '';

/** As it reads: an escape may stand for any character of it. */
const readAs = (literal: string): string =>
  literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);

/** Words that nobody said are bytes may well have a space among them, but not these. */
const looksEncoded = (value: string): boolean =>
  /^\s*data:/i.test(value) || !/[^A-Za-z0-9+/=_\r\n-]/.test(value.trim());

/** Addresses of images and sources, where such are read. */
function isMedia(path: Path, name: string | number, holder: unknown): boolean {
  const type = isObject(holder) && typeof holder.type === 'string' ? holder.type : '';
  if (/^(?:input_|output_|summary_|reasoning_)?text$/.test(type)) return false;
  const around = path[path.lastIndexOf(name) - 1];
  return MEDIA.has(around) || around === 'source' || around === 'file' || MEDIA_TYPES.test(type);
}

const MEDIA_TYPES =
  /^(?:url|image|image_url|video_url|audio_url|input_image|input_file|input_video|computer_screenshot|open_page|find_in_page)$|citation|search|fetch/;

type VoiceAt = (path: Path, json: Json) => Voice | null;

/** Whose turn it is in; null outside of turns. */
const VOICES: Readonly<Record<GuardedSurface, VoiceAt>> = {
  chat: (path, json) =>
    path[0] === 'messages'
      ? voiceOfRole(valueAt(json, ['messages', path[1] ?? 0, 'role']))
      : path[0] === 'prediction'
        ? 'user'
        : null,
  responses(path, json) {
    if (path[0] === 'instructions') return 'system';
    if (path[0] === 'prompt') return 'user';
    if (path[0] !== 'input') return null;
    const item = path.length === 1 ? undefined : valueAt(json, ['input', path[1]!]);
    if (!isObject(item)) return 'user';
    const type = typeof item.type === 'string' ? item.type : '';
    if (/_output$/.test(type)) return 'tool';
    return /_call$|^reasoning$/.test(type) ? 'assistant' : voiceOfRole(item.role);
  },
  messages(path, json) {
    if (path[0] === 'system') return 'system';
    if (path[0] !== 'messages') return null;
    const block = path[2] === 'content' ? valueAt(json, ['messages', path[1]!, 'content', path[3] ?? 0]) : undefined;
    const type = isObject(block) && typeof block.type === 'string' ? block.type : '';
    if (/tool_result$|^search_result$/.test(type)) return 'tool';
    return voiceOfRole(valueAt(json, ['messages', path[1] ?? 0, 'role']));
  },
  embeddings: (path) => (path[0] === 'input' ? 'user' : null),
  passed: ([member]) => (member === 'input' || member === 'prompt' || member === 'instructions' ? 'user' : null),
};

/** Of whoever speaks; a function's name must stay what it is. */
function isNameOfPerson(path: Path, json: Json): boolean {
  if (path[0] !== 'messages' || path.length !== 3) return false;
  const role = valueAt(json, ['messages', path[1]!, 'role']);
  return role !== 'function' && role !== 'tool';
}
