/**
 * A file on its way under guardrails: lines of JSON line by line, one JSON document by its values, all other text as it
 * comes. Memory is bounded by one line, or by one document of some size.
 */
import type { BatchCheck, BatchTally, LineRead } from './batch-lines.ts';
import { FileLines } from './file-lines.ts';
import { FileRules } from './file-rules.ts';
import { decoded, encoded, hasControls, kindOfBytes, SNIFFED, unfinished } from './file-text.ts';
import { LongText } from './long-text.ts';
import { type Active, type Hits, itemsIn, MOST_STRINGS, withItems } from './looking.ts';
import type { Place } from './places.ts';

export interface UploadOptions {
  /** What holds for a file; and for a line of a batch, by the surface of its endpoint. */
  readonly activeFor: (surface: string) => readonly Active[];
  readonly hits: Hits;
  /** What a line is, and one document of JSON; whose words all else is. */
  readonly read: (json: unknown) => LineRead;
  readonly readDocument: (json: unknown) => LineRead;
  readonly words: Place;
  readonly mayAsk?: BatchCheck | undefined;
  readonly tally?: BatchTally | undefined;
  /** Longest line that is read as a whole. */
  readonly mostBytes: number;
}

/** Largest document of JSON that is looked at string by string: what it is parsed into takes many times its bytes. */
const MOST_DOCUMENT_BYTES = 8 * 1024 * 1024;
/** Bytes of lines, or of text, that are read and looked at in one go. */
const LINES_AT_ONCE = 64 * 1024;
const TEXT_AT_ONCE = 256 * 1024;

type Mode = 'unknown' | 'lines' | 'document' | 'text' | 'binary';

const LINE_END = 10;
const EMPTY = Buffer.alloc(0);

export class UploadGuard {
  readonly #options: UploadOptions;
  readonly #rules: FileRules;
  readonly #lines: FileLines;
  readonly #isBatch: boolean | null;
  #mode: Mode = 'unknown';
  /** Of a line, of a document, or of what is not known yet. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #text: LongText | null = null;

  /** @param isBatch null: not known yet */
  constructor(options: UploadOptions, isBatch: boolean | null) {
    const { activeFor, hits, mayAsk } = options;
    this.#options = options;
    this.#isBatch = isBatch;
    this.#rules = new FileRules(activeFor, hits);
    const holds = mayAsk !== undefined || this.#rules.holds;
    this.#lines = new FileLines(this.#rules, { ...options, holds }, isBatch);
  }

  /** @returns what may go on. @throws GuardrailBlocked; `INVALID_REQUEST` for a line of a batch that cannot be read */
  async push(bytes: Buffer): Promise<Buffer> {
    switch (this.#mode) {
      case 'unknown':
        return this.#wait(bytes, SNIFFED) ? this.#begin() : EMPTY;
      case 'lines':
        return this.#inLines(bytes);
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
      if (last.length > 0) out.push(await this.#lookAtLines(last));
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

  /** A name that stands beside it. @see FileRules.lookAtName */
  lookAtName(name: string, isFixed: boolean): Promise<string> {
    return this.#rules.lookAtName(name, isFixed);
  }

  /** Once it is over and what it is for is known. @returns marks of the rules that minded had it been unreadable. */
  settle(isBatch: boolean): readonly string[] {
    this.#lines.settle(isBatch);
    return this.#rules.marks;
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
    if (kind !== 'text') this.#lines.unread('a file that is no plain text');
    if (kind === 'binary') {
      this.#mode = 'binary';
      this.#lines.refuse('it is no lines of JSON');
      return bytes;
    }
    // A byte order mark and spaces may stand before it.
    const isJson = /^(?:\xef\xbb\xbf)?\s*[[{]/.test(bytes.toString('latin1', 0, SNIFFED));
    if (isJson || this.#isBatch === true) {
      this.#mode = 'lines';
      return this.#inLines(bytes);
    }
    this.#lines.refuse('it is no lines of JSON');
    return this.#startText(bytes);
  }

  #mostDocumentBytes(): number {
    return Math.min(this.#options.mostBytes, MOST_DOCUMENT_BYTES);
  }

  async #inLines(bytes: Buffer): Promise<Buffer> {
    const out: Buffer[] = [];
    const whole = bytes.lastIndexOf(LINE_END) + 1;
    if (whole > 0) {
      this.#wait(bytes.subarray(0, whole), 0);
      out.push(await this.#lookAtLines(this.#taken()));
    }
    const rest = bytes.subarray(whole);
    const { mostBytes } = this.#options;
    if (rest.length === 0) return Buffer.concat(out);
    if (this.#mode !== 'lines') out.push(await this.push(rest));
    else if (this.#wait(rest, mostBytes)) {
      this.#lines.refuseLength(mostBytes);
      this.#lines.unread(`a line of more than ${mostBytes} bytes`);
      out.push(await this.#startText(this.#taken()));
    }
    return Buffer.concat(out);
  }

  /** @param bytes whole lines, but for the file's last */
  async #lookAtLines(bytes: Buffer): Promise<Buffer> {
    const out: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = endOfLines(bytes, at);
      const { passed, turned } = await this.#lines.look(bytes.subarray(at, end));
      out.push(passed);
      at = end;
      if (turned === null) continue;
      const rest = Buffer.concat([turned.rest, bytes.subarray(at)]);
      if (turned.to === 'text') out.push(await this.#startText(rest));
      else {
        this.#mode = 'document';
        out.push(await this.push(rest));
      }
      break;
    }
    return out.length === 1 ? out[0]! : Buffer.concat(out);
  }

  async #document(bytes: Buffer): Promise<Buffer> {
    const text = decoded(bytes);
    const bare = text.replace(/^\ufeff/, '');
    if (bytes.length > this.#mostDocumentBytes())
      return this.#raw(bytes, `more than ${this.#mostDocumentBytes()} bytes`);
    const json = this.#lines.parse(bare);
    if (json !== undefined) {
      const { places, names } = this.#options.readDocument(json);
      const items = await itemsIn(bare, places, names, this.#rules.breath, MOST_STRINGS);
      if (items.length > MOST_STRINGS) return this.#raw(bytes, `more than ${MOST_STRINGS} strings`);
      await this.#rules.look(items);
      const passed = withItems(bare, items);
      return passed === bare ? bytes : encoded(text.slice(0, text.length - bare.length) + passed);
    }
    // Neither: lines of JSON may be among it, and what goes over several lines.
    this.#lines.again();
    return this.#wholeText(await this.#lookAtLines(bytes));
  }

  /** JSON that is not looked at string by string: an escape may hide what it says. */
  #raw(bytes: Buffer, has: string): Promise<Buffer> {
    this.#lines.unread(`a document of JSON that has ${has}`);
    return this.#wholeText(bytes);
  }

  async #wholeText(bytes: Buffer): Promise<Buffer> {
    const began = await this.#startText(bytes);
    return Buffer.concat([began, encoded(await this.#text!.end())]);
  }

  #asText(): Promise<Buffer> {
    this.#lines.unread(`a document of JSON that has more than ${this.#mostDocumentBytes()} bytes`);
    return this.#startText(this.#taken());
  }

  async #startText(bytes: Buffer): Promise<Buffer> {
    const { ofFiles, hits, breath } = this.#rules;
    this.#mode = 'text';
    this.#rules.mark(ofFiles);
    this.#text = new LongText(ofFiles, hits, breath);
    return this.#inText(bytes);
  }

  async #inText(bytes: Buffer, isLast = false): Promise<Buffer> {
    if (this.#rules.ofFiles.length === 0) return bytes;
    if (bytes.length > TEXT_AT_ONCE) {
      const out: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += TEXT_AT_ONCE) {
        const end = at + TEXT_AT_ONCE;
        out.push(await this.#inText(bytes.subarray(at, end), isLast && end >= bytes.length));
        if (this.#rules.breath.isDue) await this.#rules.breath.take();
      }
      return Buffer.concat(out);
    }
    this.#wait(bytes, 0);
    let whole = this.#taken();
    const rest = isLast ? 0 : unfinished(whole);
    if (rest > 0) {
      this.#wait(whole.subarray(whole.length - rest), 0);
      whole = whole.subarray(0, whole.length - rest);
    }
    const text = decoded(whole);
    if (hasControls(text)) this.#lines.unread('a file that holds control characters');
    return encoded(await this.#text!.push(text));
  }
}

/** Where the last of these lines ends that are looked at in one go, from this place on. */
function endOfLines(bytes: Buffer, from: number): number {
  const most = from + LINES_AT_ONCE;
  if (most >= bytes.length) return bytes.length;
  const last = bytes.lastIndexOf(LINE_END, most - 1);
  if (last >= from) return last + 1;
  return bytes.indexOf(LINE_END, most) + 1 || bytes.length;
}
