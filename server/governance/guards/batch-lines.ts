/** What one line of an uploaded file is: a request of a batch, read by the places of the endpoint that it names, or a row of anything. */
import { isObject } from '../../forward/usage.ts';
import type { Breath } from './breath.ts';
import { textsIn, type Wanted } from './json-texts.ts';
import { PLACES, type Place } from './places.ts';
import { type GuardedSurface, promptNames, promptPlaces } from './prompt-places.ts';

type Json = Readonly<Record<string, unknown>>;

export interface BatchLine {
  /** The request. */
  readonly json: Json;
  /** The line as it stands, and what it says. */
  readonly text: string;
  readonly whole: Json;
  readonly number: number;
  /** Of the endpoint that it is for; null: one that nobody here knows, or it is no request. */
  readonly surface: GuardedSurface | null;
}

/** Looks at a request of a batch before guardrails do. @throws what refuses it */
export type BatchCheck = (surface: GuardedSurface | null, line: BatchLine) => Promise<void>;

/** Counts what the lines of a batch ask for, as they pass. */
export interface BatchTally {
  /** One request, in the order of the lines. It must not throw, and nobody waits for it. */
  request(line: BatchLine): void;
  /** Some of the file could not be read as requests: what was told is not all. */
  unread(): void;
}

/** What a request of a batch is written for. */
const ENDPOINTS: readonly (readonly [url: string, surface: string, places: GuardedSurface])[] = [
  ['/v1/chat/completions', 'chat', 'chat'],
  ['/v1/responses', 'responses', 'responses'],
  ['/v1/messages', 'messages', 'messages'],
  ['/v1/embeddings', 'embeddings', 'embeddings'],
  ['/v1/moderations', 'moderations', 'passed'],
  ['/v1/images/generations', 'images', 'passed'],
  ['/v1/audio/speech', 'audio', 'passed'],
];

/** Surfaces that the requests of a batch may be for. */
export const BATCHED: readonly string[] = [...ENDPOINTS.map(([, surface]) => surface), 'batches'];

const OF_ENDPOINT = new Map<unknown, readonly string[]>(ENDPOINTS.map(([url, surface]) => [url, [surface]]));
const PLACES_OF = new Map<unknown, GuardedSurface>(ENDPOINTS.map(([url, , places]) => [url, places]));

/** The surfaces that rules know an endpoint by: all, where it is not written as ours are, for who knows who answers to it. */
export const surfacesOfEndpoint = (url: unknown): readonly string[] => OF_ENDPOINT.get(url) ?? BATCHED;

/** How a line, or a document, is looked at. */
export interface LineRead {
  /** Whose rules hold for it beside those of files. */
  readonly surfaces: readonly string[];
  readonly places: Wanted<Place>;
  /** Of names of members. */
  readonly names: (name: string) => Place | null;
  /** What is asked, and of which endpoint, where it is a request. */
  readonly body: Json | null;
  readonly surface: GuardedSurface | null;
  /** What an answer says, choice by choice, where it is one. @param json of the line, as guardrails left it */
  readonly answersIn?: (json: unknown) => readonly string[];
  /** How it is read where an object in it has two members of one name, and so may be something else as well. */
  readonly ofTwins?: LineRead;
}

export const OF_FILES: readonly string[] = ['files'];
const WORDS = () => PLACES.user[0];

/** One line of what is uploaded. */
export function readUploaded(json: unknown): LineRead {
  return isObject(json) && isObject(json.body) ? requestRead(json, json.body) : readRow(json);
}

/** What is no request. */
export function readRow(json: unknown): LineRead {
  // A row of examples to learn from is written as a chat; of anything else all strings are words.
  const places = isObject(json) && Array.isArray(json.messages) ? promptPlaces('chat', json) : WORDS;
  return { surfaces: OF_FILES, places, names: promptNames, body: null, surface: null };
}

/** One request of a batch: its body as if it had come by itself, and whatever stands beside it. */
function requestRead(line: Json, body: Json): LineRead {
  const surface = PLACES_OF.get(line.url) ?? null;
  const places = requestPlaces(line, body, surface);
  return { surfaces: surfacesOfEndpoint(line.url), places, names: promptNames, body, surface };
}

function requestPlaces(line: Json, body: Json, surface: GuardedSurface | null): Wanted<Place> {
  const ofBody = promptPlaces(surface ?? 'responses', body);
  const beside = promptPlaces('passed', line);
  return (path, literal) => {
    if (path[0] !== 'body') return beside(path, literal);
    const place = ofBody(path.slice(1), literal);
    // Of an endpoint that nobody knows all strings are words, or files.
    return surface !== null || place?.isBytes ? place : PLACES.user[0];
  };
}

/** Of members of one name one reader takes the first and another one the last. @param text what `json` was read from */
export async function hasTwins(text: string, json: unknown, breath: Breath): Promise<boolean> {
  let written = 0;
  const found = textsIn(
    text,
    () => null,
    () => {
      written++;
      return null;
    },
  );
  for (const _ of found) if (breath.isDue) await breath.take();
  return written > membersIn(json);
}

/** Members of all its objects, however deep. */
export function membersIn(json: unknown): number {
  let members = 0;
  const waiting: unknown[] = [json];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    const inside = Object.values(value);
    if (!Array.isArray(value)) members += inside.length;
    for (const one of inside) if (typeof one === 'object' && one !== null) waiting.push(one);
  }
  return members;
}
