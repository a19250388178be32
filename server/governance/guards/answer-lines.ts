/** What one line of a file that comes back is: the answer to a request of a batch, by the places of its endpoint, or a row of anything. */
import { isObject } from '../../forward/usage.ts';
import type { SurfaceName } from '../../protocols/index.ts';
import { BATCHED, type LineRead, OF_FILES } from './batch-lines.ts';
import type { Wanted } from './json-texts.ts';
import { answerNames, answerPlaces, answersOf, besidePlaces, type Place, UNKNOWN, wordsIn } from './places.ts';
import { promptPlaces } from './prompt-places.ts';

type Json = Readonly<Record<string, unknown>>;

/** Which endpoint an answer is of, by the word that it has for what it is. */
const OF_OBJECT = new Map<unknown, { readonly surface: SurfaceName; readonly surfaces: readonly string[] }>(
  (
    [
      ['chat.completion', 'chat'],
      ['response', 'responses'],
      ['message', 'messages'],
    ] as const
  ).map(([object, surface]) => [object, { surface, surfaces: [surface] }]),
);
const OF_EMBEDDINGS: readonly string[] = ['embeddings'];

const NO_PLACES = () => null;
/** Where each of them says what it says. */
const LISTS = { chat: 'choices', responses: 'output', messages: 'content' } as const;

/** One line of what comes back. */
export function readAnswered(json: unknown): LineRead {
  const response = isObject(json) && isObject(json.response) ? json.response : null;
  if (!isObject(json) || response === null || !isObject(response.body)) return readComeBack();
  const { body } = response;
  const none = { names: answerNames, body: null, surface: null };
  // Whatever it says that it is: of an endpoint that nobody knows, and an error, all are words, under the rules of all.
  const any = { ...none, surfaces: BATCHED, places: linePlaces(json, anyWords) };
  // Numbers, of which nothing can be read.
  if (isEmbeddings(body) && isBare(json, OF_LINE) && isBare(response, OF_RESPONSE)) {
    return { ...none, surfaces: OF_EMBEDDINGS, places: linePlaces(json, NO_PLACES), ofTwins: any };
  }
  const known = OF_OBJECT.get(body.object ?? body.type);
  if (known === undefined || isOther(known.surface, body)) return any;
  const { surface, surfaces } = known;
  const answers = (line: unknown) => answersIn(surface, line);
  const places = linePlaces(json, answerPlaces(surface, body));
  return { ...none, surfaces, places, answersIn: answers, ofTwins: { ...any, answersIn: answers } };
}

/** What is no answer to a request of a batch: all strings are words. */
export const readComeBack = (): LineRead => ({
  ...{ surfaces: OF_FILES, places: anyWords, names: answerNames, body: null, surface: null },
});

/** It claims to be one, and has what another says its answers in. */
const isOther = (surface: SurfaceName, body: Json): boolean =>
  Object.entries(LISTS).some(([other, list]) => other !== surface && body[list] != null);

const OF_LINE: ReadonlySet<string> = new Set(['id', 'custom_id', 'response', 'error']);
const OF_RESPONSE: ReadonlySet<string> = new Set(['status_code', 'request_id', 'body']);
const isBare = (value: Json, members: ReadonlySet<string>): boolean =>
  Object.keys(value).every((name) => members.has(name));

const OF_LIST: ReadonlySet<string> = new Set(['object', 'data', 'model', 'usage', 'id', 'created', 'provider']);
const OF_EMBEDDING: ReadonlySet<string> = new Set(['object', 'index', 'embedding']);
const WORD = /^[\w.:/+-]{0,200}$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
/** Of four-byte numbers there are some dozens at least. */
const SHORTEST_BASE64 = 64;

/** A list of nothing but numbers, and words of the protocol beside it. */
function isEmbeddings(body: Json): boolean {
  const { object, data } = body;
  if (object !== 'list' || !Array.isArray(data) || data.length === 0) return false;
  const isPlain = Object.entries(body).every(
    ([name, value]) => OF_LIST.has(name) && (name === 'data' || isQuiet(value)),
  );
  return isPlain && data.every(isEmbedding);
}

const isEmbedding = (one: unknown): boolean =>
  isObject(one) &&
  one.object === 'embedding' &&
  Object.keys(one).every((name) => OF_EMBEDDING.has(name)) &&
  typeof one.index !== 'string' &&
  !isObject(one.index) &&
  isNumbers(one.embedding);

const isNumbers = (value: unknown): boolean =>
  typeof value === 'string'
    ? value.length >= SHORTEST_BASE64 && BASE64.test(value)
    : Array.isArray(value) && value.every((one) => typeof one === 'number');

/** Of a protocol: a number, a word, or a few of these. */
const isQuiet = (value: unknown): boolean => (typeof value === 'string' ? WORD.test(value) : isCount(value));

const isCount = (value: unknown): boolean =>
  typeof value !== 'string' && !Array.isArray(value) && (!isObject(value) || Object.values(value).every(isCount));

const anyWords: Wanted<Place> = (path, literal) => wordsIn(path, 'assistant', UNKNOWN, literal);

/** What stands beside the answer are ids, as they were asked with, and errors; all else a host has added. */
function linePlaces(line: Json, ofBody: Wanted<Place>): Wanted<Place> {
  const beside = promptPlaces('passed', line);
  return (path, literal) => {
    if (path[0] === 'response' && path[1] === 'body') return ofBody(path.slice(2), literal);
    if (path[0] === 'error') return anyWords(path, literal);
    return ASKED_WITH.has(path[0]) ? beside(path, literal) : besidePlaces('chat', path, literal, UNKNOWN);
  };
}

const ASKED_WITH: ReadonlySet<string | number | undefined> = new Set(['id', 'custom_id']);

function answersIn(surface: SurfaceName, line: unknown): readonly string[] {
  const { response } = line as { readonly response: { readonly body: Json } };
  return answersOf(surface, response.body);
}

/** The tokens of an answer spell out what was masked in it. */
export function withoutTokens(text: string): string {
  if (!/"(?:logprobs|tokens)"/.test(text)) return text;
  return JSON.stringify(JSON.parse(text), (name, value) =>
    (name !== 'logprobs' && name !== 'tokens') || value === null ? value : Array.isArray(value) ? [] : null,
  );
}
