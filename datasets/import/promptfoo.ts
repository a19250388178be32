/**
 * Results of `promptfoo eval -o results.json` (summaries of version 2 and 3, with or without the envelope of
 * `promptfoo export`) and `-o results.jsonl`. A provider is a model; the rendered prompt is the prompt, so that the
 * same prompt meets itself in every file; repeats are averaged.
 *
 * @see https://www.promptfoo.dev/docs/configuration/outputs
 */
import { RoutingError } from '../errors.ts';
import { type Collector, idOfText } from './collect.ts';
import { fieldOf, renderedPromptText } from './messages.ts';
import { type ImportOptions, listed } from './options.ts';
import { readAmount, readQuality, refused, type Where } from './values.ts';

/** `ResultFailureReason.ERROR`: the call or the grading failed, which says nothing of the answer. */
const ERROR = 2;

/** Names seen per provider, which decide what each is called in the end. */
export class Providers {
  /** Keys as given to the collector → provider id and label. */
  readonly #seen = new Map<string, { id: string; label: string | undefined }>();

  keyOf(id: string, label: string | undefined): string {
    const key = JSON.stringify([id, label ?? null]);
    this.#seen.set(key, { id, label });
    return key;
  }

  /** `provider/model` where that is clear; the label where one provider stands there under several. */
  nameOf(key: string): string {
    const own = this.#seen.get(key);
    if (own === undefined) return key;
    const alike = [...this.#seen.values()].filter(({ id }) => candidateId(id) === candidateId(own.id));
    if (alike.length === 1) return candidateId(own.id);
    const label = own.label ?? own.id;
    const clash = [...this.#seen.values()].filter((x) => (x.label ?? x.id) === label).length > 1;
    return clash ? `${own.id} (${own.label ?? 'no label'})` : label;
  }
}

/** `openai:chat:gpt-x` → `openai/gpt-x`; scripts and addresses keep their name. */
export function candidateId(providerId: string): string {
  if (providerId.includes('://') || !/^[\w.-]+:[^:\s]/.test(providerId)) return providerId;
  const [provider, ...rest] = providerId.split(':');
  const kinds = ['chat', 'completion', 'completions', 'messages', 'responses'];
  const model = rest.length > 1 && kinds.includes(rest[0]!) ? rest.slice(1) : rest;
  return `${provider === 'togetherai' ? 'together' : provider}/${model.join(':')}`;
}

/** @throws `INVALID_ROW` where there are no results in it */
export function readPromptfoo(
  document: unknown,
  file: string,
  into: Collector,
  providers: Providers,
  options: ImportOptions,
): void {
  const outer = fieldOf(document, 'results');
  const rows = Array.isArray(outer) ? outer : fieldOf(outer, 'results');
  if (!Array.isArray(rows)) {
    throw new RoutingError(
      'INVALID_ROW',
      `${file}: field results.results: is missing; write it with promptfoo eval -o results.json`,
    );
  }
  const place = Array.isArray(outer) ? 'results' : 'results.results';
  rows.forEach((row, i) => {
    readPromptfooRow(row, () => `${file}: ${place}[${i}]`, into, providers, options);
  });
}

/** @throws `INVALID_ROW` */
export function readPromptfooRow(
  row: unknown,
  where: Where,
  into: Collector,
  providers: Providers,
  options: ImportOptions,
): void {
  const provider = fieldOf(row, 'provider');
  const id = typeof provider === 'string' ? provider : fieldOf(provider, 'id');
  const label = fieldOf(provider, 'label');
  if (typeof id !== 'string' || id === '') throw refused(where, 'provider.id', 'is missing');
  const prompt = fieldOf(row, 'prompt');
  const raw = typeof prompt === 'string' ? prompt : fieldOf(prompt, 'raw');
  const text = typeof raw === 'string' ? renderedPromptText(raw) : varsText(fieldOf(row, 'vars'));
  if (text.trim() === '') throw refused(where, 'prompt.raw', 'is missing or empty');
  const number = into.prompt({ id: idOfText(text), text, source: 'promptfoo' }, where);
  if (isFailure(row)) {
    into.count('# results of promptfoo are errors, not answers: they count as never tried');
    return;
  }
  const score = scoreOf(row, where, options);
  const quality = readQuality(score.value, where, score.field, options);
  if (quality === undefined) {
    into.count('# results of promptfoo have no score: they count as never tried');
    return;
  }
  if (fieldOf(fieldOf(row, 'gradingResult'), 'reason') === 'No assertions') {
    into.count('# results of promptfoo passed because their test asserts nothing');
  }
  const response = fieldOf(row, 'response');
  const usage = fieldOf(response, 'tokenUsage') ?? fieldOf(row, 'tokenUsage');
  const amount = (value: unknown, field: string) => readAmount(value, where, field, options);
  // promptfoo writes 0 both for what it does not know and for what costs nothing.
  const known = (value: unknown, field: string) => amount(value, field) || undefined;
  const cost = fieldOf(row, 'cost') ?? fieldOf(response, 'cost');
  if (cost === 0)
    into.count('# results of promptfoo cost 0, which it also writes where it knows no cost: taken as unknown');
  const cached = fieldOf(response, 'cached') === true;
  into.outcome(
    number,
    providers.keyOf(id, typeof label === 'string' && label !== '' && label !== id ? label : undefined),
    {
      quality: quality.quality,
      rawScore: quality.raw,
      costUsd: known(cost, 'cost'),
      inputTokens: known(fieldOf(usage, 'prompt'), 'tokenUsage.prompt'),
      outputTokens: known(fieldOf(usage, 'completion'), 'tokenUsage.completion'),
      latencyMs: cached ? undefined : known(fieldOf(row, 'latencyMs'), 'latencyMs'),
    },
    where,
    options.repeats ?? 'average',
  );
}

/** Older files do not say why a row failed: those with an error and no grading were errors. */
function isFailure(row: unknown): boolean {
  const reason = fieldOf(row, 'failureReason');
  if (typeof reason === 'number') return reason === ERROR;
  const error = fieldOf(row, 'error') ?? fieldOf(fieldOf(row, 'response'), 'error');
  return typeof error === 'string' && error !== '' && (fieldOf(row, 'gradingResult') ?? undefined) === undefined;
}

function scoreOf(row: unknown, where: Where, { score }: ImportOptions): { value: unknown; field: string } {
  if (score === undefined || score === 'score') return { value: fieldOf(row, 'score'), field: 'score' };
  if (score === 'success') return { value: fieldOf(row, 'success'), field: 'success' };
  const named = fieldOf(row, 'namedScores') ?? {};
  const value = fieldOf(named, score);
  if (value === undefined) {
    const names = ['score', 'success', ...Object.keys(named as object)];
    throw refused(where, 'namedScores', `has no score ${score}; ${listed(names, 'scores')}`);
  }
  return { value, field: `namedScores.${score}` };
}

const varsText = (vars: unknown): string =>
  typeof vars === 'object' && vars !== null
    ? Object.values(vars)
        .filter((value) => typeof value === 'string')
        .join('\n')
    : '';
