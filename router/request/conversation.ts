/** What the three shapes of request are read into: one list of turns and what is asked of the answer. */

/** The API whose request it is: OpenAI chat completions, OpenAI Responses, Anthropic messages. */
export type Shape = 'chat' | 'responses' | 'messages';

/** What one message or item says and holds. Text of tools is counted, never kept: it says nothing of how hard the task is. */
export interface Turn {
  readonly role: string;
  /** Its texts, part by part. */
  readonly texts: readonly string[];
  readonly tokens: number;
  readonly images: number;
  readonly audio: number;
  /** Files that a model must be able to read, such as PDFs; plain text is none. */
  readonly files: number;
  /** Images among what tools answered. */
  readonly toolImages: number;
  readonly toolFiles: number;
  /** Holds something that this reader does not know: clients are ahead of it. */
  readonly other: boolean;
  /** Tools that the model called, by name. */
  readonly calls: readonly string[];
  readonly toolResults: number;
  /** Estimated, over its results. */
  readonly toolTokens: number;
  readonly toolErrors: number;
}

export interface Conversation {
  /** System prompts first, where they stand apart from the messages. */
  readonly turns: readonly Turn[];
  /** Tools offered. */
  readonly tools: readonly unknown[];
  /** Schema that the answer must follow; null: none, or any JSON. */
  readonly schema: unknown;
  readonly responseSchema: boolean;
  readonly maxOutputTokens: number | undefined;
  /** The provider holds earlier turns, or the prompt: an empty request means something. */
  readonly continues: boolean;
}

export const saysSomething = (turn: Turn): boolean =>
  turn.texts.some((text) => text !== '') ||
  turn.images > 0 ||
  turn.audio > 0 ||
  turn.files > 0 ||
  turn.toolImages > 0 ||
  turn.toolFiles > 0 ||
  turn.toolTokens > 0 ||
  turn.other;
