/** Puts an answer together from its events while it streams by, within a bound of memory. */
import { charsOf, collect } from './collect.ts';
import type { Answer, AnswerEvent } from './conversation.ts';

/** What an event takes beside its text, in characters: a stream of empty ones is bounded, too. */
const EVENT_CHARS = 32;

export class Collector {
  readonly #limit: number;
  #events: AnswerEvent[] = [];
  #chars = 0;

  /** @param limitChars beyond it the answer is let go of */
  constructor(limitChars: number) {
    this.#limit = limitChars;
  }

  /** Memory held, in characters. */
  get chars(): number {
    return this.#chars;
  }

  add(events: readonly AnswerEvent[]): void {
    if (this.#chars > this.#limit) return;
    for (const event of events) this.#push(event);
    this.#chars += charsOf(events) + events.length * EVENT_CHARS;
    if (this.#chars > this.#limit) this.#events = [];
  }

  /** Null where it grew beyond the bound, or never finished. */
  answer(): Answer | null {
    if (this.#chars > this.#limit || !this.#events.some(({ type }) => type === 'finish')) return null;
    return collect(this.#events);
  }

  /** Neighbours of one kind become one event: a token each is a hundred thousand objects. */
  #push(event: AnswerEvent): void {
    const last = this.#events.at(-1);
    if (event.type === 'text' && last?.type === 'text') {
      this.#events[this.#events.length - 1] = { type: 'text', text: last.text + event.text };
    } else if (event.type === 'thinking' && last?.type === 'thinking') {
      this.#events[this.#events.length - 1] = { type: 'thinking', text: last.text + event.text };
    } else if (event.type === 'tool_arguments' && last?.type === 'tool_arguments' && last.index === event.index) {
      this.#events[this.#events.length - 1] = { ...event, json: last.json + event.json };
    } else if (event.type !== 'other') this.#events.push(event);
  }
}
