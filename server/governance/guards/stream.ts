/**
 * A stream of answers under guardrails, as its client gets it: each of its texts (of each choice, what is said, what is
 * thought, each call's arguments) goes through them on its own, in the frames it came in; all else of a frame stays.
 */
import { isObject } from '../../forward/usage.ts';
import type { SurfaceName } from '../../protocols/index.ts';
import { membersIn } from './batch-lines.ts';
import { type Channel, JsonChannel, TextChannel } from './channel.ts';
import { FRAME_PARTS, type FrameParts, type Slot } from './frames.ts';
import type { StreamGuard } from './guards.ts';
import { textsIn } from './json-texts.ts';
import { type Active, type Hits, itemsIn, lookOver, noteUnread, withItems } from './looking.ts';
import { asksForJson, valueAt, wordsIn } from './places.ts';

type Json = Record<string, unknown>;

export interface StreamOptions {
  readonly surface: SurfaceName;
  readonly request: Readonly<Record<string, unknown>>;
  readonly active: readonly Active[];
  readonly hits: Hits;
  /** Most of a stream that waits for its end. */
  readonly mostHeldChars: number;
}

interface Open {
  readonly channel: Channel;
  /** Of its latest piece. */
  carry: Slot['carry'];
  event: string;
}

export class GuardedStream implements StreamGuard {
  readonly holds: boolean;
  readonly #options: StreamOptions;
  readonly #parts: (frame: Json) => FrameParts;
  readonly #open = new Map<string, Open>();
  readonly #isJson: boolean;
  /** Something is looked at as text; else only how much, or what the whole is, matters. */
  readonly #looks: boolean;
  /** All waits for the end: the whole must be judged before the first of it is sent. */
  readonly #waits: boolean;
  /** Some rule minds what it cannot look into, and has not met such yet. */
  #minds: boolean;
  #waiting: string[] = [];
  #waitingChars = 0;
  #chars = 0;
  /** By choice, what it says; null: it calls a tool or refuses. */
  readonly #said = new Map<string, string | null>();
  /** It calls a tool, maybe without a word of arguments. */
  #calls = false;
  /** Number of the next frame, where the protocol numbers them. */
  #sequence: number | null = null;

  constructor(options: StreamOptions) {
    const { surface, active, request } = options;
    this.#options = options;
    this.#parts = FRAME_PARTS[surface as keyof typeof FRAME_PARTS];
    const acting = active.filter(({ action }) => action !== 'noticed');
    this.#looks = active.some(({ guard }) => guard.lookAt !== undefined);
    // A bound on length is known to be passed when it is.
    this.#waits = acting.some(({ rule }) => rule.kind === 'schema' || (rule.kind === 'length' && rule.minChars));
    this.#minds = active.some(({ unreadable }) => unreadable !== null);
    this.holds = acting.length > 0;
    this.#isJson = asksForJson(surface, request) && acting.some(({ guard }) => guard.lookAt !== undefined);
  }

  get hits() {
    return this.#options.hits.all;
  }

  async see(events: string): Promise<string> {
    let out = '';
    for (const event of events.split('\n\n')) {
      if (event !== '') out += await this.#event(event);
    }
    return this.#hold(out);
  }

  async end(): Promise<string> {
    const rest = this.#hold(await this.#close(['']));
    const { active, hits } = this.#options;
    const said = [...this.#said.values()].filter((text) => text !== null);
    const answers = this.#said.size === 0 && !this.#calls ? [''] : said;
    for (const one of active) {
      if (one.guard.judge === undefined) continue;
      hits.note(one, await one.guard.judge({ chars: this.#chars, answers }));
    }
    const held = this.#waiting.join('');
    this.#waiting = [];
    return held + rest;
  }

  async error(events: string): Promise<string> {
    // What was held back is not told any more.
    this.#open.clear();
    let out = '';
    for (const event of events.split('\n\n')) if (event !== '') out += await this.#event(event);
    return out;
  }

  #hold(out: string): string {
    const { active, hits, mostHeldChars } = this.#options;
    let waiting = this.#waitingChars;
    for (const { channel } of this.#open.values()) waiting += channel.waiting;
    if (waiting + out.length > mostHeldChars && (this.#waits || this.#open.size > 0)) {
      const holding =
        active.find(({ action }) => action === 'blocked') ?? active.find(({ action }) => action !== 'noticed');
      if (holding !== undefined) hits.note({ ...holding, action: 'blocked' }, { too_much: 1 });
    }
    if (!this.#waits) return out;
    if (out !== '') this.#waiting.push(out);
    this.#waitingChars += out.length;
    return '';
  }

  /** @param event without the empty line that ends it */
  async #event(event: string): Promise<string> {
    const whole = `${event}\n\n`;
    const lines = event.split('\n');
    const data = lines.flatMap((line) => (line.startsWith('data: ') ? [line.slice(6)] : [])).join('\n');
    if (data === '[DONE]') return (await this.#close([''])) + whole;
    const frame = objectIn(data);
    if (frame === null) return whole;
    const name = lines.find((line) => line.startsWith('event: '))?.slice(7) ?? '';
    return this.#frame(frame, name, whole, this.holds && isTwice(data, frame));
  }

  /** @param isTwice a member is there twice: what its reader takes must be what was looked at */
  async #frame(frame: Json, name: string, whole: string, isTwice: boolean): Promise<string> {
    const parts = this.#parts(frame);
    if (typeof frame.sequence_number === 'number') this.#sequence ??= frame.sequence_number;
    if (this.#minds && holdsBytes(whole, frame)) {
      this.#minds = false;
      const { active, hits } = this.#options;
      for (const one of active) noteUnread(hits, one, 1, 'a picture, or a sound');
    }
    this.#calls ||= /"tool_calls":\[\{|"type":"(?:tool_use|function_call)"/.test(whole);
    let out = await this.#close(parts.closesBefore);
    let isChanged = isTwice;
    let isEmpty = parts.isBare;
    for (const slot of parts.slots) {
      this.#tally(slot);
      if (!this.#looks) {
        isEmpty = false;
        continue;
      }
      const open = this.#channelOf(slot, name);
      let text = await open.channel.push(slot.text);
      if (parts.closesWith.some((start) => slot.channel.startsWith(start))) {
        this.#open.delete(slot.channel);
        text += await open.channel.end();
      }
      if (text !== '') isEmpty = false;
      if (text === slot.text) continue;
      slot.set(text);
      isChanged = true;
    }
    out += await this.#close(parts.closesWith);
    if (!this.holds) return whole;
    if (isEmpty) return out;
    const words = parts.words === null || !this.#looks ? null : await this.#words(frame, parts);
    if (words !== null) return out + this.#written(words, name);
    if (this.#looks && whole.includes('"logprobs"')) isChanged = forgetTokens(frame) || isChanged;
    return out + (isChanged || this.#isOff(frame) ? this.#written(frame, name) : this.#counted(whole, frame));
  }

  #channelOf(slot: Slot, event: string): Open {
    let open = this.#open.get(slot.channel);
    if (open === undefined) {
      const { active, hits } = this.#options;
      const isJson = slot.kind === 'json' || (slot.kind === 'said' && this.#isJson);
      const channel = isJson ? new JsonChannel(active, hits) : new TextChannel(active, hits);
      open = { channel, carry: slot.carry, event };
      this.#open.set(slot.channel, open);
    }
    open.carry = slot.carry;
    open.event = event;
    return open;
  }

  /** What texts that are over have kept back, in frames of their own. @param starts how their names begin */
  async #close(starts: readonly string[]): Promise<string> {
    let out = '';
    for (const [name, { channel, carry, event }] of this.#open) {
      if (!starts.some((start) => name.startsWith(start))) continue;
      this.#open.delete(name);
      const rest = await channel.end();
      if (rest !== '' && this.holds) out += this.#written(carry(rest), event);
    }
    return out;
  }

  /** Words that come whole. @returns the frame with others, or null where it may stay */
  async #words(frame: Json, { words, isRepeat }: FrameParts): Promise<Json | null> {
    const json = JSON.stringify(frame);
    const items = await itemsIn(json, words!);
    if (items.length === 0) return null;
    for (const active of this.#options.active) {
      // What has come before was counted then.
      if (isRepeat && active.action === 'noticed') continue;
      const quiet = isRepeat && active.action === 'masked';
      // That there are bytes in it is known by now.
      await lookOver(items, { ...active, unreadable: null }, quiet ? SILENT : this.#options.hits);
    }
    const passed = withItems(json, items);
    if (passed === json) return null;
    const changed = JSON.parse(passed) as Json;
    forgetTokens(changed);
    return changed;
  }

  /** @throws GuardrailBlocked where the answer is longer than it may be */
  #tally({ channel, kind, text }: Slot): void {
    this.#chars += text.length;
    const { active, hits, surface } = this.#options;
    for (const one of active) {
      const { mostChars } = one.guard;
      if (mostChars === undefined || one.action === 'noticed' || this.#chars <= mostChars) continue;
      hits.note(one, { too_long: 1 });
    }
    if (!this.#options.active.some(({ rule }) => rule.kind === 'schema')) return;
    const choice = surface === 'chat' ? channel.slice(0, channel.indexOf('/')) : '';
    const before = this.#said.get(choice);
    if (before === null || kind === 'thought') return;
    const isSaid = kind === 'said' && !/refusal/.test(channel);
    this.#said.set(choice, isSaid ? (before ?? '') + text : null);
  }

  #isOff({ sequence_number: number }: Json): boolean {
    return typeof number === 'number' && number !== this.#sequence;
  }

  #counted(whole: string, { sequence_number: number }: Json): string {
    if (typeof number === 'number') this.#sequence = number + 1;
    return whole;
  }

  #written(frame: Json, name: string): string {
    const written =
      typeof frame.sequence_number === 'number' ? { ...frame, sequence_number: this.#sequence!++ } : frame;
    return `${name === '' ? '' : `event: ${name}\n`}data: ${JSON.stringify(written)}\n\n`;
  }
}

/** Of a frame that may hold bytes; names may be written with escapes. */
const MAY_HOLD_BYTES = /b64|"(?:file_)?data"|"(?:image_|file_)?url"|"result"|audio\.delta"|\\u00/;

/** Pieces of pictures and sounds. */
function holdsBytes(whole: string, frame: Json): boolean {
  if (!MAY_HOLD_BYTES.test(whole)) return false;
  if (/^response\.(?:output_)?audio\.delta$/.test(String(frame.type))) return true;
  const at = (path: readonly (string | number)[]) => valueAt(frame, path);
  const isFile = (path: readonly (string | number)[], literal: string) =>
    wordsIn(path, 'assistant', at, literal)?.isBytes ?? null;
  for (const one of textsIn(JSON.stringify(frame), isFile)) if (one !== null) return true;
  return false;
}

/** Of members of one name one reader takes the first and another one the last. @param data what `frame` was read from */
function isTwice(data: string, frame: Json): boolean {
  // Written as compactly as most hosts do, it is as long as it was.
  if (JSON.stringify(frame).length === data.length) return false;
  let written = 0;
  const names = textsIn(
    data,
    () => null,
    () => {
      written++;
      return null;
    },
  );
  for (const _ of names);
  return written > membersIn(frame);
}

/** Takes nothing down. */
const SILENT = { note() {} } as unknown as Hits;

/** Tokens spell out what is masked in the text. @returns whether there were any */
function forgetTokens(value: unknown): boolean {
  if (Array.isArray(value)) return value.map(forgetTokens).includes(true);
  if (!isObject(value)) return false;
  let isChanged = false;
  const fields = value as Json;
  for (const [name, member] of Object.entries(fields)) {
    if (name !== 'logprobs') isChanged = forgetTokens(member) || isChanged;
    else if (member !== null && !(Array.isArray(member) && member.length === 0)) {
      fields[name] = Array.isArray(member) ? [] : null;
      isChanged = true;
    }
  }
  return isChanged;
}

function objectIn(data: string): Json | null {
  try {
    const value: unknown = JSON.parse(data);
    return isObject(value) ? (value as Json) : null;
  } catch {
    return null;
  }
}
