/**
 * A file on its way to a provider under guardrails: lines of JSON one by one, each request of a batch by the places of the
 * endpoint that it names; one JSON document by its values; all other text as it comes. Memory is bounded by one line.
 */
import { RoutingError } from '../../../datasets/index.ts';
import { isObject } from '../../forward/usage.ts';
import { Breath } from './breath.ts';
import { decoded, encoded, hasControls, hasStrays, kindOfBytes, SNIFFED, unfinished } from './file-text.ts';
import { type Path, textsIn } from './json-texts.ts';
import { LongText } from './long-text.ts';
import {
  type Active,
  type Hits,
  type Item,
  itemsIn,
  lookAll,
  lookOver,
  MOST_STRINGS,
  noteUnread,
  refuseTokens,
  withItems,
} from './looking.ts';
import { PLACES, type Place } from './places.ts';
import { type GuardedSurface, promptNames, promptPlaces } from './prompt-places.ts';

type Json = Readonly<Record<string, unknown>>;

export interface UploadOptions {
  /** What holds for a file; and for a request of a batch, by the surface of the endpoint that it names. */
  readonly activeFor: (surface: string) => readonly Active[];
  readonly hits: Hits;
  /** Looks at a request of a batch before guardrails do. Default: nobody does. @throws what refuses it */
  readonly mayAsk?: BatchCheck | undefined;
  /** Longest line that is read as a whole. */
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

/** The surfaces that rules know an endpoint by: all, where it is not written as ours are, for who knows who answers to it. */
export const surfacesOfEndpoint = (url: unknown): readonly string[] => {
  const known = ENDPOINTS.find(([one]) => one === url);
  return known === undefined ? BATCHED : [known[1]];
};

/** Largest document of JSON that is looked at string by string: what it is parsed into takes many times its bytes. */
const MOST_DOCUMENT_BYTES = 8 * 1024 * 1024;
/** Lines that look like JSON and are none; a failed parse costs far more than what it was to read. */
const MOST_FAULTS = 1000;

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
  #faults = 0;
  /** Lines among JSON that are none. */
  #others = 0;
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
        return this.#wait(bytes, this.#mostDocumentBytes()) ? this.#asText() : EMPTY;
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
    if (this.#mode === 'lines') {
      const last = this.#taken();
      if (last.length > 0) out.push(await this.#readLine(last));
    }
    const mode = this.#mode as Mode;
    const waiting = this.#taken();
    // The first line may have been no JSON by itself, and have begun what goes over several.
    if (mode === 'document') out.push(await this.#document(waiting));
    else if (mode === 'text') {
      if (waiting.length > 0) out.push(await this.#inText(waiting, true));
      out.push(encoded(await this.#text!.end()));
    }
    return out.length === 1 ? out[0]! : Buffer.concat(out);
  }

  /**
   * A name that stands beside it: of its file, or of what it is.
   *
   * @param isFixed it can be refused, but not changed
   * @throws GuardrailBlocked
   */
  async lookAtName(name: string, isFixed: boolean): Promise<string> {
    const as = isFixed ? ({ ...PLACES.user[0], isFixed } as const) : PLACES.user[0];
    const item: Item = { as, start: 0, end: name.length, value: name, isChanged: false };
    // A name is no prompt: what is judged as a whole is not.
    for (const active of this.#rulesFor(['files'])) await lookOver([item], active, this.#options.hits, this.#breath);
    return item.value;
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
    if (kind !== 'text') this.#unread('a file that is no plain text');
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

  /** @param what of it could not be looked into @throws GuardrailBlocked */
  #unread(what: string): void {
    if (this.#isUnread) return;
    this.#isUnread = true;
    const surfaces = this.#isBatch === true ? BATCHED : [];
    for (const active of this.#rulesFor(['files', ...surfaces])) noteUnread(this.#options.hits, active, 1, what);
  }

  #mostDocumentBytes(): number {
    return Math.min(this.#options.mostBytes, MOST_DOCUMENT_BYTES);
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
      this.#unread(`a line of more than ${this.#options.mostBytes} bytes`);
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
    const json = this.#parsed(bare);
    if (json === undefined || hasStrays(text)) {
      this.#refuse('it is no JSON');
      // It may go on in the next line.
      if (this.#line === 1 && !this.#isByLines) {
        this.#mode = 'document';
        this.#wait(bytes, 0);
        return EMPTY;
      }
      this.#minds(text);
      // It is looked at with all that stands around it.
      if (this.#isByLines) return bytes;
      if (++this.#others > MOST_FAULTS) {
        this.#unread(`a file in which more than ${MOST_FAULTS} lines are no JSON, and others are`);
        return this.#startText(bytes);
      }
      return this.#asItStands(bytes, text, ['files']);
    }
    if (!isObject(json)) this.#refuse('it is no JSON object');
    const isRequest = isObject(json) && isObject(json.body);
    // What stands before and after goes on as it is.
    const from = text.length - bare.length;
    const { surfaces, places, known } = isRequest
      ? requestPlaces(json)
      : { surfaces: ['files'], places: rowPlaces(json), known: null };
    if (isRequest && this.#holds && (await hasTwins(bare, json, this.#breath))) {
      this.#refuse('it has two members of one name');
    }
    const asked = isRequest ? (json.body as Json) : json;
    if (isObject(json) && isObject(asked)) {
      await this.#options.mayAsk?.(known, { json: asked, text: bare, whole: json, number: this.#line });
    }
    if (this.#rulesFor(surfaces).length === 0) {
      this.#mark([]);
      return bytes;
    }
    const items = await itemsIn(bare, places, promptNames, this.#breath, MOST_STRINGS);
    if (items.length > MOST_STRINGS) {
      this.#refuse(`it has more than ${MOST_STRINGS} strings`);
      this.#unread(`a line of more than ${MOST_STRINGS} strings`);
      return this.#asItStands(bytes, text, surfaces);
    }
    if (surfaces.includes('embeddings')) refuseTokens(this.#rulesFor(surfaces), asked as Json);
    await this.#look(items, surfaces);
    const passed = withItems(bare, items);
    return passed === bare ? bytes : encoded(text.slice(0, from) + passed);
  }

  async #asItStands(bytes: Buffer, text: string, surfaces: readonly string[]): Promise<Buffer> {
    const items = [{ as: PLACES.user[0], start: 0, end: text.length, value: text, isChanged: false }];
    await this.#look(items, surfaces);
    return items[0]!.isChanged ? encoded(items[0]!.value) : bytes;
  }

  async #document(bytes: Buffer): Promise<Buffer> {
    const text = decoded(bytes);
    const bare = text.replace(/^\ufeff/, '');
    if (bytes.length > this.#mostDocumentBytes())
      return this.#raw(bytes, `more than ${this.#mostDocumentBytes()} bytes`);
    const json = this.#parsed(bare);
    if (json !== undefined) {
      const items = await itemsIn(bare, rowPlaces(json), promptNames, this.#breath, MOST_STRINGS);
      if (items.length > MOST_STRINGS) return this.#raw(bytes, `more than ${MOST_STRINGS} strings`);
      await this.#look(items, ['files']);
      const passed = withItems(bare, items);
      return passed === bare ? bytes : encoded(text.slice(0, text.length - bare.length) + passed);
    }
    // Neither: lines of JSON may be among it, and what goes over several lines.
    this.#isByLines = true;
    this.#line = 0;
    const out: Buffer[] = [];
    for (const line of text.split(/(?<=\n)/)) out.push(await this.#readLine(encoded(line)));
    return this.#wholeText(Buffer.concat(out));
  }

  /** JSON that is not looked at string by string: an escape may hide what it says. */
  #raw(bytes: Buffer, has: string): Promise<Buffer> {
    this.#unread(`a document of JSON that has ${has}`);
    return this.#wholeText(bytes);
  }

  async #wholeText(bytes: Buffer): Promise<Buffer> {
    const began = await this.#startText(bytes);
    return Buffer.concat([began, encoded(await this.#text!.end())]);
  }

  /** Of what is none, and only looks like it, no more than some. */
  #parsed(text: string): unknown {
    if (this.#faults > MOST_FAULTS) return undefined;
    const json = parsed(text);
    if (json === undefined && mayBeJson(text) && ++this.#faults > MOST_FAULTS) {
      this.#unread(`a file in which more than ${MOST_FAULTS} lines look like JSON and are none`);
    }
    return json;
  }

  /** @throws GuardrailBlocked */
  #minds(text: string): void {
    if (hasControls(text)) this.#unread('a file that holds control characters');
    else if (ESCAPE.test(text)) this.#unread('a file that has escapes of JSON, and is none');
  }

  async #look(items: readonly Item[], surfaces: readonly string[]): Promise<void> {
    const active = this.#rulesFor(surfaces);
    this.#mark(active);
    await lookAll(active, items, this.#options.hits, () => [], this.#breath);
  }

  /** Those of files, and those of the endpoints. */
  #rulesFor(surfaces: readonly string[]): readonly Active[] {
    const all = [...this.#options.activeFor('files')];
    const known = new Set(all.map(({ rule }) => rule.name));
    for (const surface of surfaces) {
      const more = this.#options.activeFor(surface).filter(({ rule }) => !known.has(rule.name));
      for (const { rule } of more) known.add(rule.name);
      all.push(...more);
    }
    return all;
  }

  #mark(active: readonly Active[]): void {
    const marks = marksOf(active);
    this.#marks = this.#marks === null ? marks : new Set([...this.#marks].filter((mark) => marks.has(mark)));
  }

  #asText(): Promise<Buffer> {
    this.#unread(`a document of JSON that has more than ${this.#mostDocumentBytes()} bytes`);
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
    if (hasControls(text)) this.#unread('a file that holds control characters');
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
  const known = ENDPOINTS.find(([one]) => one === url)?.[2] ?? null;
  const ofBody = promptPlaces(known ?? 'responses', body as Json);
  const beside = promptPlaces('passed', line);
  const places = (path: Path, literal: string): Place | null => {
    if (path[0] !== 'body') return beside(path, literal);
    const place = ofBody(path.slice(1), literal);
    // Of an endpoint that nobody knows all strings are words, or files.
    return known !== null || place?.isBytes ? place : PLACES.user[0];
  };
  return { surfaces: surfacesOfEndpoint(url), places, known };
}

/** Of members of one name one reader takes the first and another one the last. @param text what `json` was read from */
async function hasTwins(text: string, json: unknown, breath: Breath): Promise<boolean> {
  let written = 0;
  const names = () => {
    written++;
    return null;
  };
  for (const _ of textsIn(text, () => null, names)) if (breath.isDue) await breath.take();
  const waiting: unknown[] = [json];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    const inside = Object.values(value);
    if (!Array.isArray(value)) written -= inside.length;
    for (const one of inside) if (typeof one === 'object' && one !== null) waiting.push(one);
  }
  return written > 0;
}

/** By its ends alone: all else is not worth a failed parse. */
function mayBeJson(text: string): boolean {
  const bare = text.trim();
  return bare !== '' && CLOSED_BY[bare[0]!] === bare.at(-1);
}

const CLOSED_BY: Readonly<Record<string, string>> = { '{': '}', '[': ']', '"': '"' };

/** Of JSON, which stands for a letter. */
const ESCAPE = /\\u[0-9a-f]{4}/i;

/** A row of examples to learn from is written as a chat; of anything else all strings are words. */
const rowPlaces = (row: unknown): ((path: Path, literal: string) => Place | null) =>
  isObject(row) && Array.isArray(row.messages) ? promptPlaces('chat', row) : () => PLACES.user[0];

function parsed(text: string): unknown {
  if (!mayBeJson(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
