/** What the requests of a batch ask for, counted model by model as their lines go by: enough to foresee what it may cost. */
import { z } from 'zod';
import { isObject } from '../../../forward/usage.ts';
import type { SurfaceName } from '../../../protocols/index.ts';
import { type BatchLine, type BatchTally, membersIn } from '../../guards/batch-lines.ts';
import { textsIn } from '../../guards/json-texts.ts';
import { askedOutput, FIRST_OUTPUT } from '../forecast.ts';

type Json = Readonly<Record<string, unknown>>;

const amount = z.number().int().nonnegative();

export const AskedOfModel = z.object({
  /** As its host calls it. */
  model: z.string(),
  requests: amount,
  /** Of all of them, without pictures. */
  chars: amount,
  /** Of the longest. */
  longestChars: amount,
  images: amount,
  /** Answers whose length the client bounds, and the sum of those bounds in tokens. */
  bounded: amount,
  boundedTokens: amount,
  /** Answers that may be as long as they like. */
  open: amount,
});
export type AskedOfModel = z.infer<typeof AskedOfModel>;

export const AskedOfFile = z.object({
  /** The endpoint that all lines are written for, as ours are; null: there are none. */
  url: z.string().nullable(),
  models: z.array(AskedOfModel),
  /** Why it cannot be foreseen, for people; null: it can. */
  fault: z.string().nullable(),
});
export type AskedOfFile = z.infer<typeof AskedOfFile>;

const SURFACES: ReadonlyMap<string, SurfaceName> = new Map([
  ['/v1/chat/completions', 'chat'],
  ['/v1/responses', 'responses'],
  ['/v1/messages', 'messages'],
  ['/v1/embeddings', 'embeddings'],
]);

/** Hosts run one model, or a few. */
const MOST_MODELS = 100;
const MOST_MODEL_CHARS = 200;

/** An endpoint as ours are called: some hosts leave out the version. */
export const endpointOf = (url: unknown): string | null =>
  typeof url !== 'string' ? null : url.startsWith('/v1/') ? url : `/v1${url}`;

export class BatchCounter implements BatchTally {
  readonly #knowsNewField: (model: string) => boolean;
  readonly #models = new Map<string, AskedOfModel>();
  #url: string | null = null;
  #fault: string | null = null;

  /** @param knowsNewField whether the host is sure to know `max_completion_tokens` of a model */
  constructor(knowsNewField: (model: string) => boolean) {
    this.#knowsNewField = knowsNewField;
  }

  request({ json, whole, text, number }: BatchLine): void {
    if (this.#fault !== null) return;
    const why = isObject(whole.body) ? this.#count(whole, json, text) : 'it has no body';
    if (why !== null) this.#fault = `line ${number}: ${why}`;
  }

  unread(): void {
    this.#fault ??= 'not all of it could be read as lines of JSON';
  }

  get asked(): AskedOfFile {
    const models = this.#fault === null ? [...this.#models.values()] : [];
    const fault = this.#fault ?? (models.length === 0 ? 'it has no requests' : null);
    return { url: this.#url, models, fault };
  }

  /** @returns why nobody can tell what it may cost */
  #count(whole: Json, body: Json, text: string): string | null {
    const { url: said } = whole;
    if (mayHaveTwins(text) && hasTwins(text, whole)) return 'it has two members of one name';
    const url = endpointOf(said);
    const surface = SURFACES.get(url ?? '');
    if (url === null || surface === undefined) return `it is for ${shown(said)}, of which no cost is foreseen here`;
    this.#url ??= url;
    if (url !== this.#url) return `it is for ${url}, and those before it are for ${this.#url}`;
    const { model } = body;
    if (typeof model !== 'string' || model === '' || model.length > MOST_MODEL_CHARS) return 'it names no model';
    let sum = this.#models.get(model);
    if (sum === undefined) {
      if (this.#models.size >= MOST_MODELS) return `it is for more than ${MOST_MODELS} models`;
      sum = { model, requests: 0, chars: 0, longestChars: 0, images: 0, bounded: 0, boundedTokens: 0, open: 0 };
      this.#models.set(model, sum);
    }
    const pictures = picturesIn(body);
    const chars = Math.max(0, text.length - pictures.chars);
    sum.requests++;
    sum.chars += chars;
    sum.longestChars = Math.max(sum.longestChars, chars);
    sum.images += pictures.count;
    if (surface === 'embeddings') return null;
    const asked = askedOutput(surface, body, { knowsNewField: this.#knowsNewField(model) });
    if (asked.mostOutputTokens === null) sum.open += asked.answers;
    else {
      // Of a bound that its host may not know: as long as an answer that nobody bounds.
      const each =
        asked.isBoundSure === false ? Math.max(FIRST_OUTPUT, asked.mostOutputTokens) : asked.mostOutputTokens;
      sum.bounded += asked.answers;
      sum.boundedTokens += each * asked.answers;
    }
    return null;
  }
}

/** Of members of one name one reader takes the first and another one the last: none of those that the cost depends on may be there twice. */
function mayHaveTwins(text: string): boolean {
  // An escape may stand for any letter of a name.
  if (text.includes('\\u00')) return true;
  const names = text.match(COUNTED);
  return names !== null && new Set(names).size < names.length;
}

const COUNTED = /"(?:body|url|model|n|max_tokens|max_completion_tokens|max_output_tokens)"(?=\s*:)/g;

function hasTwins(text: string, json: Json): boolean {
  let written = 0;
  const names = () => {
    written++;
    return null;
  };
  for (const _ of textsIn(text, () => null, names));
  return written > membersIn(json);
}

/** Pictures that are written into it: their characters say nothing of their tokens. */
function picturesIn(body: Json): { count: number; chars: number } {
  const found = { count: 0, chars: 0 };
  const waiting: unknown[] = [body];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    const isPicture = isObject(value) && typeof value.media_type === 'string' && /^image\//.test(value.media_type);
    for (const [name, one] of Object.entries(value)) {
      if (typeof one !== 'string') waiting.push(one);
      else if (/^data:image\//.test(one) || (isPicture && name === 'data')) {
        found.count++;
        found.chars += one.length;
      } else if (name === 'image_url' || (name === 'url' && /^https?:/.test(one))) found.count++;
    }
  }
  return found;
}

const shown = (said: unknown): string => (typeof said === 'string' ? said.slice(0, 60) : 'no endpoint');
