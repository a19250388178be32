/**
 * Lines of JSON under guardrails, each by its own places and rules. They are read one by one and looked at together: what a
 * rule does with a line is what it would do with that line alone.
 */
import { RoutingError } from '../../../datasets/index.ts';
import { isObject } from '../../forward/usage.ts';
import { withoutTokens } from './answer-lines.ts';
import { BATCHED, type BatchCheck, type BatchTally, hasTwins, type LineRead, membersIn } from './batch-lines.ts';
import type { FileRules } from './file-rules.ts';
import { decoded, encoded, hasControls, hasStrays } from './file-text.ts';
import { mayBeJson, parsed } from './json-texts.ts';
import {
  type Active,
  type Item,
  itemsIn,
  judgeAll,
  lookAll,
  MOST_STRINGS,
  refuseTokens,
  withItems,
} from './looking.ts';
import { Together } from './many-texts.ts';
import type { Place } from './places.ts';

/** Lines that look like JSON and are none; a failed parse costs far more than what it was to read. */
const MOST_FAULTS = 1000;

/** Of JSON, which stands for a letter. */
const ESCAPE = /\\u[0-9a-f]{4}/i;

export interface LineOptions {
  /** What a line is. */
  readonly read: (json: unknown) => LineRead;
  /** Looks at a request of a batch before guardrails do. Default: nobody does. @throws what refuses it */
  readonly mayAsk?: BatchCheck | undefined;
  readonly tally?: BatchTally | undefined;
  /** Whose words there are. */
  readonly words: Place;
  /** A batch must be readable line by line: something may change or refuse it. */
  readonly holds: boolean;
}

/** A line that is JSON, or is looked at as it stands. */
interface Row {
  readonly text: string;
  /** Where what is looked at begins: a byte order mark may stand before it. */
  readonly from: number;
  readonly active: readonly Active[];
  readonly items: readonly Item[];
  /** Of an answer. */
  readonly answersIn?: LineRead['answersIn'];
  /** Looked at as it stands, and not as JSON. */
  readonly isRaw: boolean;
}

export interface Looked {
  /** What goes on. */
  readonly passed: Buffer;
  /** From here on it is no lines of JSON, but this. */
  readonly turned: { readonly to: 'document' | 'text'; readonly rest: Buffer } | null;
}

export class FileLines {
  readonly #rules: FileRules;
  readonly #options: LineOptions;
  readonly #together: Together;
  #line = 0;
  #fault: string | null = null;
  #faults = 0;
  /** Lines among JSON that are none. */
  #others = 0;
  #isBatch: boolean | null;
  /** It begins as JSON, but is none, nor are all of its lines: those are looked at with all that stands around them. */
  #isMixed = false;

  /** @param isBatch null: not known yet */
  constructor(rules: FileRules, options: LineOptions, isBatch: boolean | null) {
    this.#rules = rules;
    this.#options = options;
    this.#together = new Together(rules.breath);
    this.#isBatch = isBatch;
  }

  /** @throws `INVALID_REQUEST` for a batch of which not all is lines of JSON */
  settle(isBatch: boolean): void {
    this.#isBatch = isBatch;
    this.#mustBeBatch();
  }

  /** Once more from the first line on, which may be JSON, and may not. */
  again(): void {
    this.#line = 0;
    this.#isMixed = true;
  }

  /** A batch under a guardrail must be readable; of other files it is kept in mind until it is known that they are none. */
  refuse(why: string, line = this.#line): void {
    this.#options.tally?.unread();
    this.#fault ??= `line ${Math.max(line, 1)}: ${why}`;
    this.#mustBeBatch();
  }

  /** A line of which the end is not in sight. */
  refuseLength(mostBytes: number): void {
    this.refuse(`it has more than ${mostBytes} bytes`, this.#line + 1);
  }

  /** @throws `INVALID_REQUEST` */
  #mustBeBatch(): void {
    if (this.#fault === null || this.#isBatch !== true || !this.#options.holds) return;
    throw new RoutingError(
      'INVALID_REQUEST',
      `file: ${this.#fault}; here each line of a batch must be an object of JSON`,
    );
  }

  /** @param bytes whole lines, but for the file's last @throws GuardrailBlocked; `INVALID_REQUEST` */
  async look(bytes: Buffer): Promise<Looked> {
    const text = decoded(bytes);
    const isClean = !hasStrays(text);
    const out: (Row | string)[] = [];
    let waiting: Row[] = [];
    let turned: Looked['turned'] = null;
    const lookAtWaiting = async () => {
      const rows = waiting;
      waiting = [];
      await this.#lookAt(rows);
    };
    try {
      for (let at = 0; at < text.length && turned === null; ) {
        const start = at;
        at = text.indexOf('\n', start) + 1 || text.length;
        const line = text.slice(start, at);
        this.#line++;
        const bare = this.#line === 1 ? line.replace(/^\ufeff/, '') : line;
        if (isBlank(bare)) {
          out.push(line);
          continue;
        }
        const json = this.parse(bare);
        if (json !== undefined && (isClean || !hasStrays(line))) {
          const reading = this.#read(json, line, bare);
          const row = reading instanceof Promise ? await reading : reading;
          if (row !== null) waiting.push(row);
          out.push(row ?? line);
          if (this.#rules.breath.isDue) await this.#rules.breath.take();
          continue;
        }
        await lookAtWaiting();
        const to = this.#other(line);
        if (to !== null) turned = { to, rest: encoded(text.slice(start)) };
        else if (this.#isMixed) out.push(line);
        else {
          const row = asItStands(line, this.#rules.ofFiles, this.#options.words);
          await this.#rules.look(row.items, row.active);
          out.push(row);
        }
      }
    } catch (error) {
      // Lines before it may be refused for a reason of their own.
      await lookAtWaiting();
      throw error;
    }
    await lookAtWaiting();
    const isSame = turned === null && !out.some((one) => typeof one !== 'string' && isChanged(one));
    return { passed: isSame ? bytes : encoded(out.map(written).join('')), turned };
  }

  /** Of what is none, and only looks like it, no more than some. */
  parse(text: string): unknown {
    if (this.#faults > MOST_FAULTS) return undefined;
    const json = parsed(text);
    if (json === undefined && mayBeJson(text) && ++this.#faults > MOST_FAULTS) {
      this.unread(`a file in which more than ${MOST_FAULTS} lines look like JSON and are none`);
    }
    return json;
  }

  /** A line that is no JSON. @returns what it is the beginning of, where it is */
  #other(text: string): 'document' | 'text' | null {
    this.refuse('it is no JSON');
    // It may go on in the next line.
    if (this.#line === 1 && !this.#isMixed) return 'document';
    if (hasControls(text)) this.unread('a file that holds control characters');
    else if (ESCAPE.test(text)) this.unread('a file that has escapes of JSON, and is none');
    if (this.#isMixed || ++this.#others <= MOST_FAULTS) return null;
    this.unread(`a file in which more than ${MOST_FAULTS} lines are no JSON, and others are`);
    return 'text';
  }

  /** @returns null where nobody looks at it */
  async #read(json: unknown, text: string, bare: string): Promise<Row | null> {
    const { read, holds, mayAsk, tally } = this.#options;
    let line = read(json);
    const { breath } = this.#rules;
    if (line.ofTwins !== undefined && (await hasTwins(bare, json, breath))) line = line.ofTwins;
    const { surfaces, surface, body } = line;
    const active = this.#rules.for(surfaces);
    if (!isObject(json)) this.refuse('it is no JSON object');
    const minds = holds && body !== null;
    const isLooked = active.length > 0;
    let names = 0;
    let items: Item[] = [];
    if (isLooked) {
      items = await itemsIn(
        bare,
        line.places,
        (name) => {
          names++;
          return line.names(name);
        },
        breath,
        MOST_STRINGS,
      );
    }
    const isCut = items.length > MOST_STRINGS;
    if (minds) {
      const isTwice = isLooked && !isCut ? names > membersIn(json) : await hasTwins(bare, json, breath);
      if (isTwice) this.refuse('it has two members of one name');
    }
    if (isObject(json)) {
      const asked = { json: body ?? json, text: bare, whole: json, number: this.#line, surface };
      tally?.request(asked);
      await mayAsk?.(surface, asked);
    }
    if (isCut) {
      this.refuse(`it has more than ${MOST_STRINGS} strings`);
      this.unread(`a line of more than ${MOST_STRINGS} strings`);
      return asItStands(text, active, this.#options.words);
    }
    if (!isLooked) {
      this.#rules.mark(active);
      return null;
    }
    if (surface === 'embeddings') refuseTokens(active, body!);
    const { answersIn } = line;
    return { text, from: text.length - bare.length, active, items, isRaw: false, ...(answersIn && { answersIn }) };
  }

  /** @param what of it could not be looked into @throws GuardrailBlocked */
  unread(what: string): void {
    this.#rules.unread(what, this.#isBatch === true ? BATCHED : NONE);
  }

  async #lookAt(rows: readonly Row[]): Promise<void> {
    const { hits, breath } = this.#rules;
    const suspects = await this.#together.suspectsAmong(rows);
    for (const [i, row] of rows.entries()) {
      const { active, items, answersIn } = row;
      this.#rules.mark(active);
      const isJudged = active.some(({ guard }) => guard.judge !== undefined);
      if (!suspects[i] && !isJudged) continue;
      const answers = () => answersIn?.(JSON.parse(rewritten(row))) ?? [];
      if (suspects[i]) await lookAll(active, items, hits, answers, breath);
      else await judgeAll(active, items, hits, answers);
    }
  }
}

const NONE: readonly string[] = [];

const isBlank = (text: string): boolean => !/\S/.test(text);

const asItStands = (text: string, active: readonly Active[], as: Place): Row => ({
  ...{ text, from: 0, active, isRaw: true },
  items: [{ as, start: 0, end: text.length, value: text, isChanged: false }],
});

const isChanged = ({ items }: Row): boolean => items.some((item) => item.isChanged);

/** What is read as JSON stays JSON, and keeps what stands before it. */
function written(one: Row | string): string {
  if (typeof one === 'string') return one;
  if (one.isRaw) return one.items[0]!.value;
  const json = rewritten(one);
  // A line's end is not part of it.
  const end = one.text.endsWith('\n') && !json.endsWith('\n') ? '\n' : '';
  return one.text.slice(0, one.from) + json + end;
}

function rewritten({ text, from, items, answersIn }: Row): string {
  const json = withItems(text.slice(from), items);
  return answersIn === undefined || !items.some((item) => item.isChanged) ? json : withoutTokens(json);
}
