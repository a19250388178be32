/** What one line of a file that comes back is: the answer to a request of a batch, by the places of its endpoint, or a row of anything. */
import { isObject } from '../../forward/usage.ts';
import type { SurfaceName } from '../../protocols/index.ts';
import { BATCHED, type LineRead, OF_FILES } from './batch-lines.ts';
import type { Wanted } from './json-texts.ts';
import { answerPlaces, answersOf, type Place, wordsIn } from './places.ts';
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

const NO_NAMES = () => null;
const NO_PLACES = () => null;

/** One line of what comes back. */
export function readAnswered(json: unknown): LineRead {
  const response = isObject(json) && isObject(json.response) ? json.response : null;
  if (!isObject(json) || response === null || !isObject(response.body)) return readComeBack();
  const { body } = response;
  const none = { names: NO_NAMES, body: null, surface: null };
  // Numbers, of which nothing can be read.
  if (isEmbeddings(body)) return { ...none, surfaces: OF_EMBEDDINGS, places: NO_PLACES };
  const known = OF_OBJECT.get(body.object ?? body.type);
  const places = linePlaces(json, known === undefined ? anyWords : answerPlaces(known.surface, body));
  // Of an endpoint that nobody knows, and an error, all are words, under the rules of all.
  if (known === undefined) return { ...none, surfaces: BATCHED, places };
  const { surface, surfaces } = known;
  return { ...none, surfaces, places, answersIn: (line) => answersIn(surface, line) };
}

/** What is no answer to a request of a batch: all strings are words. */
export const readComeBack = (): LineRead => ({
  ...{ surfaces: OF_FILES, places: anyWords, names: NO_NAMES, body: null, surface: null },
});

const isEmbeddings = ({ object, data }: Json): boolean =>
  object === 'list' && Array.isArray(data) && isObject(data[0]) && data[0].object === 'embedding';

const anyWords: Wanted<Place> = (path, literal) => wordsIn(path, 'assistant', () => undefined, literal);

/** What stands beside the answer are ids, as they were asked with, and errors. */
function linePlaces(line: Json, ofBody: Wanted<Place>): Wanted<Place> {
  const beside = promptPlaces('passed', line);
  return (path, literal) => {
    if (path[0] === 'response' && path[1] === 'body') return ofBody(path.slice(2), literal);
    return path[0] === 'error' ? anyWords(path, literal) : beside(path, literal);
  };
}

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
