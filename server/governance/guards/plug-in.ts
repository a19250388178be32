/** What a kind of guardrail does: looks at one text after the other, or at all of it together. Pure, but for a thread of its own. */
import type { Voice } from './kinds/rules.ts';

/** What was found, in a guardrail's own few words, and how often. */
export type Found = Readonly<Partial<Record<string, number>>>;

export interface Seen {
  /** With what was found replaced. */
  readonly text: string;
  readonly found: Found;
}

/** What there is of an answer, or of a prompt, when it is all there. */
export interface Whole {
  /** Characters of all texts that are looked at. */
  readonly chars: number;
  /** What each choice of an answer says; none for a prompt, nor where the model calls a tool or refuses. */
  readonly answers: readonly string[];
}

/** A text that comes in pieces: what is known of it, and the part that is looked at now. */
export interface Piece {
  /** Begins with the last few characters of what has been looked at before. */
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

/** One rule, ready to be applied. */
export interface Guard {
  /** One text. A promise only where another thread looks, or where it is long and taken in pieces. */
  look?(text: string, voice: Voice): Seen | Promise<Seen>;
  /** What a text holds that stands in a prompt as base64. Default: that is not looked into. */
  lookEncoded?(text: string, voice: Voice): Found | Promise<Found>;
  /** Stands for base64 in which something was found. */
  readonly encodedMask?: string;
  /** A part of a text, whose end {@link Guard.settled} has said. Guardrails of answers that look at texts have both. */
  lookAt?(piece: Piece): Seen;
  /**
   * Up to where, from `from` on, a text that goes on in an unknown way can be looked at: what is found before that place
   * is found in the whole text, and the other way round.
   *
   * @param tried places up to this one were asked for before, and were none
   */
  settled?(text: string, from: number, tried: number): number;
  /** Characters that may wait for such a place; then they are looked at as they are. Default: 4096. */
  readonly mostWaiting?: number | undefined;
  /**
   * Whatever it finds in a text it finds in a text of several lines as well of which this is some, so that where nothing is
   * found in many texts together, there is nothing in any.
   */
  readonly isSeparable?: boolean;
  /** At the end. @returns what was found; nothing: it may pass */
  judge?(whole: Whole): Found | Promise<Found>;
  /** More characters than may come: then nobody need wait for the end. */
  readonly mostChars?: number | undefined;
  close?(): Promise<void>;
}

export const NOTHING: Found = {};

/** The text as it is, with nothing found. */
export const untouched = (text: string): Seen => ({ text, found: NOTHING });
