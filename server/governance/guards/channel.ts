/** One text of a stream on its way through the guardrails: what may be part of something longer waits. */
import { type Active, type Hits, lookInJson } from './looking.ts';

/** A text without a gap for so long is looked at as it is: what lies across that place may be missed. */
const MOST_WAITING = 4096;

/** Characters before a part that are kept to tell what stands before it. */
const CONTEXT = 32;

export interface Channel {
  /** @returns what may go on now. @throws GuardrailBlocked */
  push(text: string): Promise<string>;
  /** The text is over. @returns the rest. @throws GuardrailBlocked */
  end(): Promise<string>;
  /** Characters that wait. */
  readonly waiting: number;
}

/** Plain text: each guardrail sees what the one before it let go. */
export class TextChannel implements Channel {
  readonly #stages: Stage[];

  constructor(active: readonly Active[], hits: Hits) {
    this.#stages = active.filter(({ guard }) => guard.lookAt !== undefined).map((one) => new Stage(one, hits));
  }

  async push(text: string): Promise<string> {
    return this.#stages.reduce((passed, stage) => stage.push(passed), text);
  }

  async end(): Promise<string> {
    return this.#stages.reduce((passed, stage) => stage.push(passed) + stage.end(), '');
  }

  get waiting(): number {
    return Math.max(0, ...this.#stages.map(({ waiting }) => waiting));
  }
}

class Stage {
  readonly #active: Active;
  readonly #hits: Hits;
  /** Begins with what is known already. */
  #text = '';
  #from = 0;
  /** Places up to this one are none to stop at. */
  #tried = 0;

  constructor(active: Active, hits: Hits) {
    this.#active = active;
    this.#hits = hits;
  }

  get waiting(): number {
    return this.#text.length - this.#from;
  }

  push(text: string): string {
    if (text === '') return '';
    this.#text += text;
    const { settled, mostWaiting = MOST_WAITING } = this.#active.guard;
    let to = settled!(this.#text, this.#from, this.#tried);
    this.#tried = this.#text.length;
    if (to <= this.#from && this.waiting > mostWaiting) to = beforePair(this.#text, this.#text.length);
    const passed = this.#look(to);
    return this.#active.action === 'noticed' ? text : passed;
  }

  end(): string {
    const passed = this.#look(this.#text.length);
    return this.#active.action === 'noticed' ? '' : passed;
  }

  #look(to: number): string {
    const from = this.#from;
    if (to <= from) return '';
    const piece = { text: this.#text, from, to };
    const { text, found } = this.#active.guard.lookAt!(piece);
    const passed = this.#active.action === 'masked' ? text : this.#text.slice(from, to);
    const kept = beforePair(this.#text, Math.max(0, to - CONTEXT));
    this.#text = this.#text.slice(kept);
    this.#from = to - kept;
    this.#tried = Math.max(this.#tried - kept, this.#from);
    this.#hits.note(this.#active, found);
    return passed;
  }
}

/** Not between the two halves of a character. */
const beforePair = (text: string, at: number): number => {
  const code = text.charCodeAt(at - 1);
  return at > 0 && code >= 0xd800 && code <= 0xdbff ? at - 1 : at;
};

/** JSON, which means nothing before it is whole: it waits for its end, unless all only watch. */
export class JsonChannel implements Channel {
  readonly #active: readonly Active[];
  readonly #hits: Hits;
  readonly #holds: boolean;
  #json = '';

  constructor(active: readonly Active[], hits: Hits) {
    this.#active = active.filter(({ guard }) => guard.lookAt !== undefined);
    this.#hits = hits;
    this.#holds = this.#active.some(({ action }) => action !== 'noticed');
  }

  get waiting(): number {
    return this.#json.length;
  }

  async push(text: string): Promise<string> {
    this.#json += text;
    return this.#holds ? '' : text;
  }

  async end(): Promise<string> {
    let json = this.#json;
    this.#json = '';
    if (json === '') return '';
    for (const one of this.#active) {
      const { text, found } = await lookInJson(one.guard, json, 'assistant');
      this.#hits.note(one, found);
      if (one.action === 'masked') json = text;
    }
    return this.#holds ? json : '';
  }
}
