/**
 * A file on its way to a provider under guardrails: lines of JSON one by one, each request of a batch by the places of the
 * endpoint that it names; one JSON document by its values; all other text as it comes. Memory is bounded by one line.
 */
import { RoutingError } from '../../../datasets/index.ts';
import { isObject } from '../../forward/usage.ts';
import { Breath } from './breath.ts';
import { decoded, encoded, hasStrays, kindOfBytes, SNIFFED, unfinished } from './file-text.ts';
import type { Path } from './json-texts.ts';
import { LongText } from './long-text.ts';
import { type Active, type Hits, type Item, itemsIn, lookAll, noteUnread, refuseTokens, withItems } from './looking.ts';
import { PLACES, type Place } from './places.ts';
import { type GuardedSurface, promptNames, promptPlaces } from './prompt-places.ts';

type Json = Readonly<Record<string, unknown>>;

export interface UploadOptions {
  /** What holds for a file; and for a request of a batch, by the surface of the endpoint that it names. */
  readonly activeFor: (surface: string) => readonly Active[];
  readonly hits: Hits;
  /** Looks at a request of a batch before guardrails do. Default: nobody does. @throws what refuses it */
  readonly mayAsk?: BatchCheck | undefined;
  /** Longest line, and largest JSON document, that is read as a whole. */
  readonly mostBytes: number;
}

/** @param surface null: an endpoint that nobody here knows */
export type BatchCheck = (surface: GuardedSurface | null, line: BatchLine) => Promise<void>;

export interface BatchLine {
  /** The request. */
  readonly json: Json;
  /** The line as it stands, and what it says. */
  readonly text: string;
  readonly whole: Json;
  readonly number: number;
}

/** What a request of a batch is written for; null: an endpoint that nobody here knows. */
const ENDPOINTS: readonly (readonly [end: string, surface: string, places: GuardedSurface])[] = [
  ['/chat/completions', 'chat', 'chat'],
  ['/responses', 'responses', 'responses'],
  ['/messages', 'messages', 'messages'],
  ['/embeddings', 'embeddings', 'embeddings'],
  ['/moderations', 'moderations', 'passed'],
  ['/images/generations', 'images', 'passed'],
  ['/audio/speech', 'audio', 'passed'],
];

/** The surface that rules know an endpoint by. */
export const surfaceOfEndpoint = (url: unknown): string =>
  ENDPOINTS.find(([end]) => typeof url === 'string' && url.endsWith(end))?.[1] ?? 'batches';

/** Surfaces that the requests of a batch may be for. */
export const BATCHED: readonly string[] = [...ENDPOINTS.map(([, surface]) => surface), 'batches'];

type Mode = 'unknown' | 'lines' | 'document' | 'text' | 'binary';

const LINE_END = 10;

export class UploadGuard {
  readonly #options: UploadOptions;
  readonly #holds: boolean;
  readonly #breath = new Breath();
  #mode: Mode = 'unknown';
  /** Of a line, of a document, or of what is not known yet. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #line = 0;
  #fault: string | null = null;
  #isUnread = false;
  /** It begins as JSON, but is none, nor are all of its lines. */
  #isByLines = false;
  #isBatch: boolean | null;
  #text: LongText | null = null;
  /** Marks of the rules that all of it was looked at under. */
  #marks: ReadonlySet<string> | null = null;

  /** @param isBatch null: not known yet */
  constructor(options: UploadOptions, isBatch: boolean | null) {
    this.#options = options;
    this.#isBatch = isBatch;
    const { mayAsk } = options;
    this.#holds =
      mayAsk !== undefined ||
      [...BATCHED, 'files'].some((surface) =>
        options.activeFor(surface).some(({ action, unreadable }) => action !== 'noticed' || unreadable === 'blocked'),
      );
  }

  /** @returns what may go on. @throws GuardrailBlocked; `INVALID_REQUEST` for a line of a batch that cannot be read */
  async push(bytes: Buffer): Promise<Buffer> {
    switch (this.#mode) {
      case 'unknown':
        return this.#wait(bytes, SNIFFED) ? this.#begin() : EMPTY;
      case 'lines':
        return this.#lines(bytes);
      case 'document':
        return this.#wait(bytes, this.#options.mostBytes) ? this.#asText() : EMPTY;
      case 'text':
        return this.#inText(bytes);
      default:
        return bytes;
    }
  }

  /** @returns the rest */
  async end(): Promise<Buffer> {
    const out: Buffer[] = [];
    if (this.#mode === 'unknown') out.push(await this.#begin());
    const waiting = this.#taken();
    if (this.#mode === 'lines') {
      if (waiting.length > 0) out.push(await this.#readLine(waiting));
      // The first line was no JSON by itself, and may have begun what goes over several.
      const rest = this.#taken();
      if (rest.length > 0) out.push(await this.#document(rest));
    } else if (this.#mode === 'document') out.push(await this.#document(waiting));
    else if (this.#mode === 'text') {
      if (waiting.length > 0) out.push(await this.#inText(waiting, true));
      out.push(encoded(await this.#text!.end()));
    }
    return out.length === 1 ? out[0]! : Buffer.concat(out);
  }

  /** Once it is over and what it is for is known. @returns marks of the rules that minded had it been unreadable. */
  settle(isBatch: boolean): readonly string[] {
    this.#isBatch = isBatch;
    this.#mustBeBatch();
    if (this.#isUnread) return [];
    return [...(this.#marks ?? marksOf(this.#options.activeFor('files')))];
  }

  /** @returns whether there is enough of it */
  #wait(bytes: Buffer, enough: number): boolean {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    return this.#waitingBytes >= enough;
  }

  #taken(): Buffer {
    const bytes = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    return bytes;
  }

  async #begin(): Promise<Buffer> {
    const bytes = this.#taken();
    const kind = kindOfBytes(bytes);
    if (kind !== 'text') this.#unread();
    if (kind === 'binary') {
      this.#mode = 'binary';
      this.#refuse('it is no lines of JSON');
      return bytes;
    }
    // A byte order mark and spaces may stand before it.
    const isJson = /^(?:\xef\xbb\xbf)?\s*[[{]/.test(bytes.toString('latin1', 0, SNIFFED));
    if (isJson || this.#isBatch === true) {
      this.#mode = 'lines';
      return this.#lines(bytes);
    }
    this.#refuse('it is no lines of JSON');
    return this.#startText(bytes);
  }

  /** @throws GuardrailBlocked */
  #unread(): void {
    if (this.#isUnread) return;
    this.#isUnread = true;
    for (const active of this.#options.activeFor('files')) noteUnread(this.#options.hits, active, 1);
  }

  /** A batch under a guardrail must be readable; of other files it is kept in mind until it is known that they are none. */
  #refuse(why: string): void {
    this.#fault ??= `line ${Math.max(this.#line, 1)}: ${why}`;
    this.#mustBeBatch();
  }

  /** @throws `INVALID_REQUEST` */
  #mustBeBatch(): void {
    if (this.#fault === null || this.#isBatch !== true || !this.#holds) return;
    throw new RoutingError(
      'INVALID_REQUEST',
      `file: ${this.#fault}; here each line of a batch must be an object of JSON`,
    );
  }

  async #lines(bytes: Buffer): Promise<Buffer> {
    const out: Buffer[] = [];
    let at = 0;
    for (let end = bytes.indexOf(LINE_END); end >= 0; end = bytes.indexOf(LINE_END, at)) {
      this.#wait(bytes.subarray(at, end + 1), 0);
      at = end + 1;
      out.push(await this.#readLine(this.#taken()));
      if ((this.#mode as Mode) !== 'lines') {
        out.push(await this.push(bytes.subarray(at)));
        return Buffer.concat(out);
      }
    }
    if (at < bytes.length && this.#wait(bytes.subarray(at), this.#options.mostBytes)) {
      this.#line++;
      this.#refuse(`it has more than ${this.#options.mostBytes} bytes`);
      this.#line--;
      out.push(await this.#startText(this.#taken()));
    }
    return Buffer.concat(out);
  }

  /** @param bytes with its line end, if it has one */
  async #readLine(bytes: Buffer): Promise<Buffer> {
    this.#line++;
    const text = decoded(bytes);
    const bare = this.#line === 1 ? text.replace(/^\ufeff/, '') : text;
    if (bare.trim() === '') return bytes;
    const json = parsed(bare);
    if (json === undefined || hasStrays(text)) {
      this.#refuse('it is no JSON');
      // It may go on in the next line.
      if (this.#line === 1 && !this.#isByLines) {
        this.#mode = 'document';
        this.#wait(bytes, 0);
        return EMPTY;
      }
      const items = [{ as: PLACES.user[0], start: 0, end: text.length, value: text, isChanged: false }];
      await this.#look(items, 'files');
      return items[0]!.isChanged ? encoded(items[0]!.value) : bytes;
    }
    if (!isObject(json)) this.#refuse('it is no JSON object');
    const isRequest = isObject(json) && isObject(json.body);
    // What stands before and after goes on as it is.
    const from = text.length - bare.length;
    const { surface, places, known } = isRequest
      ? requestPlaces(json)
      : { surface: 'files', places: rowPlaces(json), known: null };
    const asked = isRequest ? (json.body as Json) : json;
    if (isObject(json) && isObject(asked)) {
      await this.#options.mayAsk?.(known, { json: asked, text: bare, whole: json, number: this.#line });
    }
    if (this.#rulesFor(surface).length === 0) {
      this.#mark([]);
      return bytes;
    }
    const items = await itemsIn(bare, places, promptNames, this.#breath);
    if (surface === 'embeddings') refuseTokens(this.#rulesFor(surface), asked as Json);
    await this.#look(items, surface);
    const passed = withItems(bare, items);
    return passed === bare ? bytes : encoded(text.slice(0, from) + passed);
  }

  async #document(bytes: Buffer): Promise<Buffer> {
    const text = decoded(bytes);
    const bare = text.replace(/^\ufeff/, '');
    const json = parsed(bare);
    if (json !== undefined) {
      const items = await itemsIn(bare, rowPlaces(json), promptNames, this.#breath);
      await this.#look(items, 'files');
      const passed = withItems(bare, items);
      return passed === bare ? bytes : encoded(text.slice(0, text.length - bare.length) + passed);
    }
    // Neither: lines of JSON may be among it, and what goes over several lines.
    this.#isByLines = true;
    this.#line = 0;
    const out: Buffer[] = [];
    for (const line of text.split(/(?<=\n)/)) out.push(await this.#readLine(encoded(line)));
    const began = await this.#startText(Buffer.concat(out));
    return Buffer.concat([began, encoded(await this.#text!.end())]);
  }

  async #look(items: readonly Item[], surface: string): Promise<void> {
    const active = this.#rulesFor(surface);
    this.#mark(active);
    await lookAll(active, items, this.#options.hits, () => [], this.#breath);
  }

  /** Those of files, and those of the endpoint. */
  #rulesFor(surface: string): readonly Active[] {
    const ofFiles = this.#options.activeFor('files');
    if (surface === 'files') return ofFiles;
    const known = new Set(ofFiles.map(({ rule }) => rule.name));
    return [...ofFiles, ...this.#options.activeFor(surface).filter(({ rule }) => !known.has(rule.name))];
  }

  #mark(active: readonly Active[]): void {
    const marks = marksOf(active);
    this.#marks = this.#marks === null ? marks : new Set([...this.#marks].filter((mark) => marks.has(mark)));
  }

  #asText(): Promise<Buffer> {
    return this.#startText(this.#taken());
  }

  async #startText(bytes: Buffer): Promise<Buffer> {
    this.#mode = 'text';
    this.#mark(this.#options.activeFor('files'));
    this.#text = new LongText(this.#options.activeFor('files'), this.#options.hits, this.#breath);
    return this.#inText(bytes);
  }

  async #inText(bytes: Buffer, isLast = false): Promise<Buffer> {
    if (this.#options.activeFor('files').length === 0) return bytes;
    this.#wait(bytes, 0);
    let whole = this.#taken();
    const rest = isLast ? 0 : unfinished(whole);
    if (rest > 0) {
      this.#wait(whole.subarray(whole.length - rest), 0);
      whole = whole.subarray(0, whole.length - rest);
    }
    const text = decoded(whole);
    if (text.includes('\0')) this.#unread();
    return encoded(await this.#text!.push(text));
  }
}

const EMPTY = Buffer.alloc(0);

/** Of rules that mind what they did not see. */
const marksOf = (active: readonly Active[]): ReadonlySet<string> =>
  new Set(active.flatMap(({ unreadable, mark }) => (unreadable === null ? [] : [mark])));

/** One request of a batch: its body as if it had come by itself, and whatever stands beside it. */
function requestPlaces(line: Json) {
  const { url, body } = line;
  const [, surface = 'batches', known = null] =
    ENDPOINTS.find(([end]) => typeof url === 'string' && url.endsWith(end)) ?? [];
  const ofBody = known === null ? null : promptPlaces(known, body as Json);
  const beside = promptPlaces('passed', line);
  const places = (path: Path, literal: string): Place | null => {
    if (path[0] !== 'body') return beside(path, literal);
    return ofBody === null ? PLACES.user[0] : ofBody(path.slice(1), literal);
  };
  return { surface, places, known };
}

/** A row of examples to learn from is written as a chat; of anything else all strings are words. */
const rowPlaces = (row: unknown): ((path: Path, literal: string) => Place | null) =>
  isObject(row) && Array.isArray(row.messages) ? promptPlaces('chat', row) : () => PLACES.user[0];

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
