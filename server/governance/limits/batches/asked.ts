/** What the requests of a batch ask for, counted model by model as their lines go by: enough to foresee what it may cost. */
import { z } from 'zod';
import { estimateTokens } from '../../../../router/request/tokens.ts';
import { isObject } from '../../../forward/usage.ts';
import type { SurfaceName } from '../../../protocols/index.ts';
import { type BatchLine, type BatchTally, membersIn } from '../../guards/batch-lines.ts';
import { textsIn } from '../../guards/json-texts.ts';
import { askedOutput, BOUNDS, isCount, OPEN_OUTPUT } from '../forecast.ts';
import { besideText, REFERRING } from './beside-text.ts';
import { misplaced, misspelt } from './spelling.ts';

type Json = Readonly<Record<string, unknown>>;

const amount = z.number().int().nonnegative();

export const AskedOfModel = z.object({
  /** As its host calls it. */
  model: z.string(),
  requests: amount,
  /** Of all of them, without the bytes of pictures; those of other alphabets by as many as they are tokens. */
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
const CHARS_PER_TOKEN = 4;

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
    const fault = this.#fault ?? (models.length === 0 ? 'it has no requests, or another purpose than “batch”' : null);
    return { url: this.#url, models, fault };
  }

  /** @returns why nobody can tell what it may cost */
  #count(whole: Json, body: Json, text: string): string | null {
    const { url: said } = whole;
    if (mayHaveTwins(text) && hasTwins(text, whole)) return 'it has two members of one name';
    const odd = misspelt(whole, body);
    if (odd !== null) return `${shownName(odd)} is not spelt as it is read here, and its host may read it`;
    const beside = misplaced(whole);
    if (beside !== null) return `${shownName(beside)} stands beside its body, and its host may read it`;
    const url = endpointOf(said);
    const surface = SURFACES.get(url ?? '');
    if (url === null || surface === undefined) return `it is for ${shown(said)}, of which no cost is foreseen here`;
    this.#url ??= url;
    if (url !== this.#url) return `it is for ${url}, and those before it are for ${this.#url}`;
    const { model } = body;
    if (typeof model !== 'string' || model === '' || model.length > MOST_MODEL_CHARS) return 'it names no model';
    const why = uncountable(surface, body);
    if (why !== null) return why;
    const { pictures, chars: bytes, refersBy } = besideText(surface, body);
    if (refersBy !== null)
      return `what it refers to by ${refersBy} is not in it, and nobody here knows how long that is`;
    let sum = this.#models.get(model);
    if (sum === undefined) {
      if (this.#models.size >= MOST_MODELS) return `it is for more than ${MOST_MODELS} models`;
      sum = { model, requests: 0, chars: 0, longestChars: 0, images: 0, bounded: 0, boundedTokens: 0, open: 0 };
      this.#models.set(model, sum);
    }
    const chars = Math.max(0, Math.ceil(CHARS_PER_TOKEN * estimateTokens(text)) - bytes);
    sum.requests++;
    sum.chars += chars;
    sum.longestChars = Math.max(sum.longestChars, chars);
    sum.images += pictures;
    if (surface === 'embeddings') return null;
    const asked = askedOutput(surface, body, { knowsNewField: this.#knowsNewField(model) });
    const answers = Math.max(asked.answers, isCount(body.best_of) ? body.best_of : 1);
    if (asked.mostOutputTokens === null) sum.open += answers;
    else {
      // Of a bound that its host may not know: as long as an answer that nobody bounds.
      const each = asked.isBoundSure === false ? Math.max(OPEN_OUTPUT, asked.mostOutputTokens) : asked.mostOutputTokens;
      sum.bounded += answers;
      sum.boundedTokens += each * answers;
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

const COUNTED = new RegExp(
  `"(?:body|url|model|models|messages|n|best_of|max_tokens|max_completion_tokens|max_output_tokens|${REFERRING.join('|')})"(?=\\s*:)`,
  'g',
);

/** Of what the number of answers and their length depend on: `"50"` is a number to some hosts. */
function uncountable(surface: SurfaceName, body: Json): string | null {
  for (const field of [...BOUNDS[surface], 'n', 'best_of']) {
    const said = body[field];
    if (said != null && !isCount(said)) return `its ${field} must be a whole number, from 1 to 999999999`;
  }
  // Some hosts take the next of them where one fails.
  return body.models == null ? null : 'it names models beside its own';
}

function hasTwins(text: string, json: Json): boolean {
  let written = 0;
  const names = () => {
    written++;
    return null;
  };
  for (const _ of textsIn(text, () => null, names));
  return written > membersIn(json);
}

const shown = (said: unknown): string => (typeof said === 'string' ? said.slice(0, 60) : 'no endpoint');
const shownName = (name: string): string => JSON.stringify(name.slice(0, 40));
