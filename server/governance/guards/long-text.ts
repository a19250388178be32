/** A text of any length under guardrails, piece by piece: what may go on in the next piece waits. */
import { type Breath, IN_ONE_GO } from './breath.ts';
import { TextChannel } from './channel.ts';
import { endOfPiece } from './folded-pieces.ts';
import type { Active, Hits } from './looking.ts';

/** Characters looked at in one go by one pattern: some milliseconds. */
const PIECE = 16_000;
const SHORTEST_PIECE = 250;
/** What is found only in whole texts is no longer than this. */
const OVERLAP = 4000;

export class LongText {
  readonly #channel: TextChannel;
  /** They have no way of looking at a part, and change nothing. */
  readonly #ofWholes: readonly Active[];
  readonly #hits: Hits;
  readonly #breath: Breath;
  readonly #piece: number;
  #window = '';

  constructor(active: readonly Active[], hits: Hits, breath: Breath) {
    this.#channel = new TextChannel(active, hits);
    this.#ofWholes = active.filter(({ guard }) => guard.look !== undefined && guard.lookAt === undefined);
    this.#hits = hits;
    this.#breath = breath;
    const patterns = active.reduce((sum, { rule }) => sum + (rule.kind === 'deny' ? rule.patterns.length : 0), 0);
    this.#piece = Math.max(SHORTEST_PIECE, Math.floor(PIECE / (1 + patterns)));
  }

  /** @returns what may go on. @throws GuardrailBlocked */
  async push(text: string): Promise<string> {
    const out: string[] = [];
    for (let at = 0; at < text.length; ) {
      const end = endOfPiece(text, at, this.#piece);
      out.push(await this.#channel.push(text.slice(at, end)));
      at = end;
      if (this.#breath.isDue) await this.#breath.take();
    }
    if (this.#ofWholes.length > 0) {
      this.#window += text;
      if (this.#window.length > IN_ONE_GO) await this.#lookAtWindow();
    }
    return out.join('');
  }

  /** @returns the rest */
  async end(): Promise<string> {
    await this.#lookAtWindow();
    return this.#channel.end();
  }

  async #lookAtWindow(): Promise<void> {
    const window = this.#window;
    this.#window = window.slice(-OVERLAP);
    for (const one of this.#ofWholes) this.#hits.note(one, (await one.guard.look!(window, 'user')).found);
  }
}
