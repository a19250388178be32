/**
 * Output items of a response → events, whether an item comes whole or in pieces. What of an item has been told is
 * counted, so that a host that streams no deltas, or only some, is still read in full when the item is done.
 */
import { isObject } from '../../forward/usage.ts';
import type { AnswerEvent, Maker, Sealed } from '../conversation.ts';
import { NotThisProtocol } from '../protocol.ts';
import { readSeal } from './seals.ts';

type Json = Readonly<Record<string, unknown>>;
/** Which item: its place in the output, or its id where a host leaves the place out. */
export type ItemKey = number | string;

interface Call {
  /** Counts calls from 0. */
  readonly index: number;
  readonly custom: boolean;
  /** Characters of arguments, or of a custom tool's input, told so far. */
  told: number;
}

/** Calls that the client has to carry out, though only this protocol knows them. */
const CLIENT_CALLS = new Set([
  'local_shell_call',
  'shell_call',
  'apply_patch_call',
  'computer_call',
  'mcp_approval_request',
]);

export class OutputReader {
  readonly #maker: Maker;
  readonly #calls = new Map<ItemKey, Call>();
  readonly #callSeals = new Map<string, Sealed>();
  /** Characters told of each part of an item. */
  readonly #told = new Map<string, number>();
  /** The part of reasoning told last, by item: two parts are set apart. */
  readonly #lastPart = new Map<ItemKey, string>();
  #awaitsClient = false;
  #spoke = false;
  #refused = false;
  /** Items seen. */
  items = 0;

  /** @param maker whose sealed reasoning stands unwrapped */
  constructor(maker: Maker) {
    this.#maker = maker;
  }

  get endsWith(): 'tool_calls' | 'refusal' | 'stop' {
    return this.#awaitsClient ? 'tool_calls' : this.#refused && !this.#spoke ? 'refusal' : 'stop';
  }

  added(key: ItemKey, item: Json): AnswerEvent[] {
    this.items++;
    if (CLIENT_CALLS.has(String(item.type))) this.#awaitsClient = true;
    if (item.type === 'function_call' || item.type === 'custom_tool_call') return [...this.#call(key, item)];
    // Of a kind that only this protocol has: the answer has begun, and its size is known when it is done.
    return item.type === 'message' || item.type === 'reasoning' ? [] : [{ type: 'other', chars: 0 }];
  }

  done(key: ItemKey, item: Json): AnswerEvent[] {
    switch (item.type) {
      case 'message':
        return [...this.#message(key, item)];
      case 'reasoning':
        return [...this.#reasoning(key, item)];
      case 'function_call':
      case 'custom_tool_call':
        return [...this.#callDone(key, item)];
      default: {
        const told = this.#told.get(partKey(key, 'other', 0)) ?? 0;
        return [{ type: 'other', chars: Math.max(JSON.stringify(item).length - told, 0) }];
      }
    }
  }

  text(kind: 'text' | 'refusal', key: ItemKey, part: unknown, delta: string): AnswerEvent[] {
    if (delta === '') return [];
    this.#tell(partKey(key, kind, part), delta.length);
    if (kind === 'text') this.#spoke = true;
    else this.#refused = true;
    return [{ type: kind, text: delta }];
  }

  thinking(kind: 'summary' | 'content', key: ItemKey, part: unknown, delta: string): AnswerEvent[] {
    if (delta === '') return [];
    const name = partKey(key, kind, part);
    const last = this.#lastPart.get(key);
    this.#tell(name, delta.length);
    this.#lastPart.set(key, name);
    return [{ type: 'thinking', text: last === undefined || last === name ? delta : `\n\n${delta}` }];
  }

  arguments(key: ItemKey, delta: string): AnswerEvent[] {
    const call = this.#calls.get(key);
    if (call === undefined) return this.other(key, delta);
    if (delta === '') return [];
    call.told += delta.length;
    const json = call.custom ? JSON.stringify(delta).slice(1, -1) : delta;
    return [{ type: 'tool_arguments', index: call.index, json }];
  }

  /** Part of what only this protocol can say. */
  other(key: ItemKey, delta: string): AnswerEvent[] {
    this.#tell(partKey(key, 'other', 0), delta.length);
    return [{ type: 'other', chars: delta.length }];
  }

  *#call(key: ItemKey, item: Json): Iterable<AnswerEvent> {
    if (this.#calls.has(key)) return;
    const id = typeof item.call_id === 'string' ? item.call_id : item.id;
    if (typeof id !== 'string' || typeof item.name !== 'string') {
      throw new NotThisProtocol('a tool call without a call_id and a name');
    }
    const custom = item.type === 'custom_tool_call';
    const index = this.#calls.size;
    const sealed = this.#callSeals.get(id);
    this.#calls.set(key, { index, custom, told: 0 });
    this.#awaitsClient = true;
    yield { type: 'tool_call', index, id, name: item.name, ...(sealed && { sealed }) };
    // A custom tool's bare text becomes the one argument of a function.
    if (custom) yield { type: 'tool_arguments', index, json: '{"input":"' };
  }

  *#callDone(key: ItemKey, item: Json): Iterable<AnswerEvent> {
    yield* this.#call(key, item);
    const call = this.#calls.get(key)!;
    const whole = call.custom ? item.input : item.arguments;
    if (typeof whole === 'string') yield* this.arguments(key, whole.slice(call.told));
    if (call.custom) yield { type: 'tool_arguments', index: call.index, json: '"}' };
  }

  *#message(key: ItemKey, { content }: Json): Iterable<AnswerEvent> {
    for (const [i, part] of partsOf(content)) {
      const kind = part.type === 'refusal' ? 'refusal' : 'text';
      const whole = kind === 'refusal' ? part.refusal : part.text;
      if (typeof whole === 'string') yield* this.text(kind, key, i, whole.slice(this.#toldOf(partKey(key, kind, i))));
    }
  }

  *#reasoning(key: ItemKey, item: Json): Iterable<AnswerEvent> {
    for (const kind of ['summary', 'content'] as const) {
      for (const [i, { text }] of partsOf(item[kind])) {
        const told = this.#toldOf(partKey(key, kind, i));
        if (typeof text === 'string') yield* this.thinking(kind, key, i, text.slice(told));
      }
    }
    const { encrypted_content: encrypted } = item;
    if (typeof encrypted !== 'string' || encrypted === '') return;
    const { sealed, redacted, callId } = readSeal(encrypted, item.id, this.#maker);
    if (callId !== undefined) this.#callSeals.set(callId, sealed);
    else yield { type: 'sealed', sealed, ...(redacted && { redacted }) };
  }

  #tell(part: string, chars: number): void {
    this.#told.set(part, this.#toldOf(part) + chars);
  }

  #toldOf(part: string): number {
    return this.#told.get(part) ?? 0;
  }
}

const partKey = (key: ItemKey, kind: string, part: unknown): string => `${key} ${kind} ${String(part ?? 0)}`;

function* partsOf(parts: unknown): Iterable<[number, Json]> {
  if (!Array.isArray(parts)) return;
  for (const [i, part] of parts.entries()) if (isObject(part)) yield [i, part];
}
