/** What a public dataset is to us: where its files lie, under what licence, and how its rows become ours. */
import type { z } from 'zod';
import { RoutingError } from '../errors.ts';
import type { Format } from '../formats/sniff.ts';
import { PLAIN } from '../plain-issues.ts';
import type { ModelInfo, Outcome, PromptRow } from '../schema.ts';

export interface SourceFile {
  /** Unique within the source: the name it is kept under, and that a file fetched by hand must have. */
  readonly name: string;
  readonly url: string;
  readonly format: Format;
  /** Exact length; null where it was not known when this was written. */
  readonly bytes: number | null;
  /** Null where it could not be verified when this was written: then the first fetch records it. */
  readonly sha256: string | null;
}

/** One model's answer to a prompt, and what the source says of the model. */
export interface Answer extends Omit<Outcome, 'promptId'> {
  readonly info?: ModelInfo;
}

/** A prompt with some or all of its answers; the same prompt may come again with further ones. */
export interface SourceRow {
  readonly prompt: PromptRow & { readonly text: string };
  readonly answers: readonly Answer[];
}

export interface MapContext {
  /** Where the file of this name lies now. */
  path(name: string): string;
  /** Told why a row was left out, in words that are the same for all rows of the kind. */
  leaveOut(why: string): void;
  /** Told the commit that an archive says it was made from. */
  revision(commit: string): void;
  /** Files in the place of the source's own, where it has none to fetch. */
  readonly given: readonly string[];
}

export interface Source {
  readonly name: string;
  /** What it holds, in one line. */
  readonly holds: string;
  /** How quality is measured, and what to beware of. */
  readonly notes: readonly string[];
  readonly homepage: string;
  readonly licence: string;
  readonly citation: string;
  /** Commit that the files are taken from; null where none could be verified. */
  readonly revision: string | null;
  /** Why nothing may be learned from it; null where that is allowed. */
  readonly evaluationOnly: string | null;
  /** About so many, as the authors or others report; null where nobody says. */
  readonly models: number | null;
  readonly prompts: number | null;
  /** Length of everything that is fetched, as reported, for people; null where nobody says. */
  readonly size: string | null;
  readonly files: readonly SourceFile[];
  /** In the place of `files`, where upstream has only what is refused: what to do, and which formats are read then. */
  readonly byHand?: { readonly advice: string; readonly formats: readonly Format[] };
  /** What is read of an upstream row. */
  readonly row: z.ZodType;
  /**
   * The files as rows of ours, streaming.
   * @throws what the readers of `datasets/formats` throw, and `INVALID_ROW` for a row that does not fit `row`
   */
  rows(context: MapContext): AsyncGenerator<SourceRow>;
}

/** @throws `INVALID_ROW` that names file, row and field */
export function checked<S extends z.ZodType>(schema: S, value: unknown, label: string, row: number): z.infer<S> {
  const parsed = schema.safeParse(value, PLAIN);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new RoutingError(
    'INVALID_ROW',
    `${label}: row ${row}: field ${issue.path.join('.') || '(row)'}: ${issue.message}`,
    { cause: parsed.error },
  );
}

/** Quality in [0, 1]; a score beyond is brought back to it and kept as it was. */
export const clipped = (score: number): Pick<Answer, 'quality' | 'rawScore'> =>
  score >= 0 && score <= 1 ? { quality: score } : { quality: Math.min(1, Math.max(0, score)), rawScore: score };

/** What is known and no slip: a cost or count of 0 stands for one that nobody recorded. */
export const recorded = <K extends string>(field: K, value: number | null | undefined): { [key in K]?: number } =>
  (value != null && value > 0 ? { [field]: value } : {}) as { [key in K]?: number };

const unknown = { bytes: null, sha256: null } as const;

export const hubFile = (repository: string, revision: string | null, path: string, format: Format): SourceFile => ({
  name: path.split('/').at(-1)!,
  url: `https://huggingface.co/datasets/${repository}/resolve/${revision ?? 'main'}/${path}`,
  format,
  ...unknown,
});

export const gitFile = (
  repository: string,
  commit: string,
  path: string,
  name: string,
  format: Format,
): SourceFile => ({
  name,
  url: `https://raw.githubusercontent.com/${repository}/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`,
  format,
  ...unknown,
});

/** A repository as one file, which is also the easiest to fetch by hand. */
export const gitArchive = (repository: string, commit: string | null): SourceFile => ({
  name: `${repository.split('/')[1]}-${commit?.slice(0, 12) ?? 'main'}.tar.gz`,
  url: `https://codeload.github.com/${repository}/tar.gz/${commit ?? 'refs/heads/main'}`,
  format: 'tar.gz',
  ...unknown,
});
