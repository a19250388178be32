/**
 * Events of an answer → output items, as OpenAI streams them: an item is added, its parts come in pieces, each
 * piece's end repeats the whole, and the item is done. Only tool calls may be open beside another item.
 */
import type { AnswerEvent, Sealed } from '../conversation.ts';
import { writeCallSeal, writeRedacted, writeSeal } from './seals.ts';

type Item = Record<string, unknown>;
export type ItemStatus = 'completed' | 'incomplete';

export interface ItemsOptions {
  /** Our id of the exchange: ids of items are made of it and their place. */
  readonly id: string;
  /** Tools whose input the client wants as bare text. */
  readonly customTools: ReadonlySet<string>;
  /** Takes an event of the stream; called for none where only the items are wanted. */
  readonly emit: (type: string, fields: Readonly<Record<string, unknown>>) => void;
}

interface Open {
  readonly kind: 'text' | 'refusal' | 'thinking';
  readonly index: number;
  readonly id: string;
  text: string;
}

interface Call {
  readonly index: number;
  readonly itemId: string;
  readonly callId: string;
  readonly name: string;
  readonly custom: boolean;
  arguments: string;
  done: boolean;
}

export class ItemsWriter {
  readonly #options: ItemsOptions;
  readonly #calls = new Map<number, Call>();
  #open: Open | undefined;
  /** Whole items, and those still open as they were added. */
  readonly output: Item[] = [];
  refused = false;

  constructor(options: ItemsOptions) {
    this.#options = options;
  }

  write(event: AnswerEvent): void {
    switch (event.type) {
      case 'text':
      case 'refusal':
      case 'thinking':
        if (event.text !== '') this.#say(event.type, event.text);
        break;
      case 'sealed':
        this.#seal(event.sealed, event.redacted === true);
        break;
      case 'tool_call':
        this.#close();
        if (event.sealed) this.#addSeal(writeCallSeal(event.sealed, event.id));
        this.#addCall(event.index, event.id, event.name);
        break;
      case 'tool_arguments':
        this.#argue(event.index, event.json);
        break;
    }
  }

  /** @param status of an item that the answer's end cuts off */
  end(status: ItemStatus): void {
    this.#close(status);
    for (const call of this.#calls.values()) if (!call.done) this.#endCall(call, status);
  }

  #say(kind: Open['kind'], text: string): void {
    if (this.#open?.kind !== kind) {
      this.#close();
      this.#endWholeCalls();
      this.#open = this.#begin(kind);
    }
    const open = this.#open!;
    open.text += text;
    if (kind === 'thinking') {
      this.#emit('response.reasoning_summary_text.delta', open, { summary_index: 0, delta: text });
    } else if (kind === 'text') {
      this.#emit('response.output_text.delta', open, { content_index: 0, delta: text, logprobs: [] });
    } else this.#emit('response.refusal.delta', open, { content_index: 0, delta: text });
  }

  #begin(kind: Open['kind']): Open {
    this.refused ||= kind === 'refusal';
    const index = this.output.length;
    const open: Open = { kind, index, id: this.#idOf(kind === 'thinking' ? 'rs' : 'msg'), text: '' };
    if (kind === 'thinking') {
      this.#add({ id: open.id, type: 'reasoning', summary: [] });
      this.#emit('response.reasoning_summary_part.added', open, { summary_index: 0, part: summaryPart('') });
      return open;
    }
    this.#add({ id: open.id, type: 'message', status: 'in_progress', role: 'assistant', content: [] });
    this.#emit('response.content_part.added', open, { content_index: 0, part: contentPart(kind, '') });
    return open;
  }

  #close(status: ItemStatus = 'completed', sealed?: Sealed): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    const { kind, text } = open;
    if (kind === 'thinking') {
      const part = summaryPart(text);
      this.#emit('response.reasoning_summary_text.done', open, { summary_index: 0, text });
      this.#emit('response.reasoning_summary_part.done', open, { summary_index: 0, part });
      const item = { id: open.id, type: 'reasoning', summary: [part] };
      this.#done(open.index, sealed === undefined ? item : { ...item, encrypted_content: writeSeal(sealed) });
      return;
    }
    const part = contentPart(kind, text);
    if (kind === 'text') this.#emit('response.output_text.done', open, { content_index: 0, text, logprobs: [] });
    else this.#emit('response.refusal.done', open, { content_index: 0, refusal: text });
    this.#emit('response.content_part.done', open, { content_index: 0, part });
    this.#done(open.index, { id: open.id, type: 'message', status, role: 'assistant', content: [part] });
  }

  #seal(sealed: Sealed, redacted: boolean): void {
    if (this.#open?.kind === 'thinking' && !redacted) {
      this.#close('completed', sealed);
      return;
    }
    this.#close();
    this.#endWholeCalls();
    this.#addSeal(redacted ? writeRedacted(sealed) : writeSeal(sealed));
  }

  /** Reasoning of which nothing can be read. */
  #addSeal(encrypted: string): void {
    const id = this.#idOf('rs');
    const index = this.output.length;
    this.#add({ id, type: 'reasoning', summary: [] });
    this.#done(index, { id, type: 'reasoning', summary: [], encrypted_content: encrypted });
  }

  #addCall(callIndex: number, callId: string, name: string): void {
    const custom = this.#options.customTools.has(name);
    const itemId = this.#idOf(custom ? 'ctc' : 'fc');
    const call: Call = { index: this.output.length, itemId, callId, name, custom, arguments: '', done: false };
    this.#calls.set(callIndex, call);
    this.#add(callItem(call, 'in_progress', ''));
  }

  #argue(callIndex: number, json: string): void {
    const call = this.#calls.get(callIndex);
    if (call === undefined || call.done || json === '') return;
    call.arguments += json;
    // A custom tool's text is taken out of its JSON when that is whole.
    if (!call.custom) this.#emit('response.function_call_arguments.delta', refOf(call), { delta: json });
  }

  /**
   * Once the answer has gone on to something else, calls whose arguments are whole are done. So items are done in
   * the order in which they were added, which is the order in which clients keep them.
   */
  #endWholeCalls(): void {
    for (const call of this.#calls.values())
      if (!call.done && isWhole(call.arguments)) this.#endCall(call, 'completed');
  }

  #endCall(call: Call, status: ItemStatus): void {
    call.done = true;
    if (call.custom) {
      const input = inputOf(call.arguments);
      if (input !== '') this.#emit('response.custom_tool_call_input.delta', refOf(call), { delta: input });
      this.#emit('response.custom_tool_call_input.done', refOf(call), { input });
      this.#done(call.index, callItem(call, status, input));
      return;
    }
    // No arguments at all: hosts leave them empty, and clients parse them.
    const json = call.arguments.trim() === '' && status === 'completed' ? '{}' : call.arguments;
    this.#emit('response.function_call_arguments.done', refOf(call), { name: call.name, arguments: json });
    this.#done(call.index, callItem(call, status, json));
  }

  #add(item: Item): void {
    const index = this.output.length;
    this.output.push(item);
    this.#options.emit('response.output_item.added', { output_index: index, item });
  }

  #done(index: number, item: Item): void {
    this.output[index] = item;
    this.#options.emit('response.output_item.done', { output_index: index, item });
  }

  #emit(type: string, { id, index }: { readonly id: string; readonly index: number }, fields: Item): void {
    this.#options.emit(type, { item_id: id, output_index: index, ...fields });
  }

  #idOf(prefix: string): string {
    return `${prefix}_${this.#options.id}_${this.output.length}`;
  }
}

const refOf = ({ itemId, index }: Call) => ({ id: itemId, index });

const summaryPart = (text: string): Item => ({ type: 'summary_text', text });

const contentPart = (kind: Open['kind'], text: string): Item =>
  kind === 'refusal'
    ? { type: 'refusal', refusal: text }
    : { type: 'output_text', annotations: [], logprobs: [], text };

const callItem = ({ itemId, callId, name, custom }: Call, status: string, payload: string): Item =>
  custom
    ? { id: itemId, type: 'custom_tool_call', status, call_id: callId, name, input: payload }
    : { id: itemId, type: 'function_call', status, arguments: payload, call_id: callId, name };

function isWhole(json: string): boolean {
  try {
    JSON.parse(json);
    return true;
  } catch {
    return false;
  }
}

/** The text in `{"input": …}`; what a model wrote instead is handed over as it is. */
function inputOf(json: string): string {
  try {
    const { input } = JSON.parse(json) as { input?: unknown };
    return typeof input === 'string' ? input : json;
  } catch {
    return json;
  }
}
