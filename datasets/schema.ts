/** The rows of a dataset of outcomes: prompts × candidate models × how well each answered. */
import { z } from 'zod';

const PromptFields = z.object({
  /** Unique over all sources. */
  id: z.string().min(1),
  /** Where the row is from, e.g. a dataset's name. */
  source: z.string().min(1).default('local'),
  /** Task, often with a subject or level after a slash. */
  benchmark: z.string().min(1).default('default'),
  text: z.string().default(''),
  /** The source's own split, where it defines one. */
  split: z.enum(['train', 'dev', 'test']).optional(),
  /** The same for all prompts that are (nearly) the same question, in whatever source. Defaults to the id. */
  groupId: z.string().min(1).optional(),
  /** Near-copy of somebody's training data: left out of every evaluation. */
  contaminated: z.boolean().optional(),
  /** The encoder's output for this prompt, length d, where the text is not kept. */
  embedding: z.array(z.number()).optional(),
  /** Length of the text in characters, where the text is not kept. */
  chars: z.number().int().nonnegative().optional(),
});
/** One prompt. `text` is what a user would send; a replay bundle holds `embedding` instead. */
export const Prompt = PromptFields.refine(({ text, embedding }) => text.trim() !== '' || (embedding?.length ?? 0) > 0, {
  path: ['text'],
  message: 'is missing or empty, and there is no embedding in its place',
});
export type PromptRow = z.input<typeof Prompt>;
export type Prompt = Omit<z.infer<typeof Prompt>, 'groupId' | 'embedding'> & {
  groupId: string;
  embedding?: Float32Array;
};

/** What happened when one model answered one prompt. A pair that was never tried has no row. */
export const Outcome = z.object({
  promptId: z.string().min(1),
  modelId: z.string().min(1),
  /** Share of success, in [0, 1]; what it means differs by source. */
  quality: z.number().min(0).max(1),
  inputTokens: z.number().nonnegative().optional(),
  outputTokens: z.number().nonnegative().optional(),
  /** Length of the answer in characters, where tokens are not known. */
  outputChars: z.number().nonnegative().optional(),
  costUsd: z.number().nonnegative().optional(),
  latencyMs: z.number().nonnegative().optional(),
  rawScore: z.number().optional(),
});
export type Outcome = z.infer<typeof Outcome>;

/** What a source says of a model beside its outcomes. Prices in USD per million tokens. */
export const ModelInfo = z.object({
  sourceName: z.string().optional(),
  inputUsdPerMTok: z.number().nonnegative().optional(),
  outputUsdPerMTok: z.number().nonnegative().optional(),
  priceFrom: z.string().optional(),
  /** True for models that think in tokens that the source did not count. */
  hiddenReasoning: z.boolean().optional(),
});
export type ModelInfo = z.infer<typeof ModelInfo>;

export const ModelInfos = z.record(z.string(), ModelInfo);
export type ModelInfos = z.infer<typeof ModelInfos>;

/** Outcomes as they are handed on: an array of rows, or columns that take a fifth of its memory. */
export interface OutcomeRows extends Iterable<Outcome> {
  readonly length: number;
  filter(keep: (outcome: Outcome) => boolean): OutcomeRows;
  map<T>(to: (outcome: Outcome) => T): T[];
  some(holds: (outcome: Outcome) => boolean): boolean;
}

/** A dataset in memory: rows as read, before they become a table. */
export interface Dataset {
  /** Folder name, or the sources joined by `+`. */
  readonly name: string;
  readonly prompts: readonly Prompt[];
  readonly outcomes: OutcomeRows;
  readonly models: ModelInfos;
}

/** Base models answer few users: kept for studying difficulty, never candidates. */
export const isBaseModel = (modelId: string): boolean => modelId.endsWith('-base');

/**
 * Reasoning models whose hidden tokens the public sources did not count: their cost
 * cannot be read off the length of the answer.
 */
export const hasHiddenReasoning = (modelId: string, info?: ModelInfo): boolean =>
  info?.hiddenReasoning ?? /(^|\/)(o1|o3|o4)(-|$)|thinking|qwq|-r1(-|$)|gemini-(2\.5|3)|grok-3-mini/.test(modelId);
