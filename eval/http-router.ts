/**
 * Routers of any language, by asking them: `POST {model: "auto", messages: [{role: "user", content}]}` to a
 * `/v1/route` as this project's gateway serves it. An answer with `ranked` holds predictions for every candidate and
 * makes the plug-in router, like any other; an answer with `model` alone is one operating point, the router's own.
 *
 * It is asked for at most {@link TUNING_PROMPTS} training prompts, to choose settings on, and for every test prompt.
 * What it learned from cannot be seen: a router that knew the training outcomes shows in `inSampleSuspicion`.
 * Neither errors nor progress hold a prompt's text, nor what the router says beyond numbers and names.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { deriveSeed, type ErrorCode, type Prompt, RoutingError, sampleRows } from '../datasets/index.ts';
import { PLAIN } from '../datasets/plain-issues.ts';
import type { Contender, Frozen, Training } from './contender.ts';
import { pure } from './curve.ts';
import { type Part, selectPartRows } from './part.ts';
import { fixedOrder, lookUp, plugIn } from './plug-in.ts';
import { PredictionTable } from './prediction-table.ts';
import { MIN_TUNING_PROMPTS } from './predictions.ts';

export interface HttpRouterOptions {
  /** Sent with every request, e.g. an authorization. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For one request, its answer read to the end. Default 10 s. */
  readonly timeoutMs?: number;
  /** Requests at a time. Default 8. */
  readonly concurrency?: number;
  /** Times that a request is sent again after 429, 5xx, no connection or no answer. Default 3. */
  readonly retries?: number;
  /** Longest wait that a `retry-after` may ask for. Default 60 s. */
  readonly maxWaitMs?: number;
  /** Told how many prompts are answered. */
  readonly onProgress?: (message: string) => void;
}

/** Training prompts it is asked about: enough to place a few settings. */
export const TUNING_PROMPTS = 1000;
/** An answer of 300 candidates takes some 60 kB. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
/** Waits without `retry-after`: 250 ms, then twice as long each time. */
const FIRST_WAIT_MS = 250;
const PROGRESS_EVERY = 100;

/**
 * @param name what it is called in reports
 * @param url  `http(s)://HOST`, to which `/v1/route` is added, or the whole address
 * @throws `INVALID_CONFIG` for an address that is none. When asked: `UPSTREAM_ERROR` (a status, no connection),
 *         `UPSTREAM_TIMEOUT`, `UPSTREAM_INVALID` (an answer that is no decision, or not about these models), each
 *         naming the prompt by its id and what came back
 */
export function httpRouter(name: string, url: string, options: HttpRouterOptions = {}): Contender {
  const router = new RemoteRouter(name, routeUrl(url), options);
  const ranked = plugIn(
    {
      name,
      async fit({ part, seed }) {
        const rows = tuningRows(part, seed);
        const prompts = rows.map((i) => part.table.prompts[i]!);
        const known = router.knownOf(part.table.modelIds);
        if (known.length < 2) {
          const models = `${known.length} of the ${part.table.modelIds.length} models (${known.join(', ') || 'none'})`;
          return {
            unfit: `it ranks ${models}, and two are needed to choose between; name its models as the task does`,
          };
        }
        return {
          tuning: { rows, forecast: router.forecast(prompts, part.table.modelIds) },
          async forecast(asked) {
            await router.ask(asked, 'test', part.table.modelIds);
            router.expect('ranked');
            return router.forecast(asked, part.table.modelIds);
          },
        };
      },
    },
    'learned',
  );
  return {
    name,
    kind: 'learned',
    async prepare(training) {
      const { prompts, modelIds } = training.part.table;
      const rows = tuningRows(training.part, training.seed);
      if (rows.length < MIN_TUNING_PROMPTS) {
        return {
          unfit: `settings are chosen on ${MIN_TUNING_PROMPTS} training prompts at least, and there are ${rows.length}; bring more prompts`,
        };
      }
      const silent = prompts.filter((p) => p.text.trim() === '');
      if (silent.length > 0) {
        return {
          unfit:
            `${silent.length} of ${prompts.length} training prompts have no text to send, e.g. ${silent[0]!.id}; give the data ` +
            'with its texts, or ask the router where they are and bring its answers as a predictions file',
        };
      }
      const asked = rows.map((i) => prompts[i]!);
      await router.ask(asked, 'training', modelIds);
      return router.choosesOnly ? ownChoice(router, training, rows) : ranked.prepare(training);
    },
    given: ({ table: { prompts, modelIds } }) => router.forecast(prompts, modelIds),
  };
}

const tuningRows = ({ table: { prompts } }: Part, seed: number): number[] => {
  const all = prompts.map((_, i) => i);
  return sampleRows(prompts, all, TUNING_PROMPTS, deriveSeed(seed, 'http-router-tuning'));
};

/** The one point of a router that says which model, and nothing of the others. */
function ownChoice(router: RemoteRouter, training: Training, rows: readonly number[]): Frozen {
  const part = selectPartRows(training.part, rows);
  const measured = (on: Part) => lookUp(on, router.choices(on, training.singles.byRisingCost));
  const { costUsd, quality } = measured(part);
  return {
    points: [pure([{ costUsd: mean(costUsd), quality: mean(quality) }], 0)],
    baselineQuality: mean(fixedOrder(part, training.baseline).quality),
    label: () => 'its own choice',
    async measure(test) {
      await router.ask(test.table.prompts, 'test', test.table.modelIds);
      router.expect('model');
      return { outcomes: new Map([[0, measured(test)]]) };
    },
  };
}

const Answer = z.looseObject({
  model: z.string().min(1).nullish(),
  ranked: z
    .array(
      z.looseObject({
        model: z.string().min(1),
        quality: z.number().min(0).max(1),
        costUsd: z.number().nonnegative().nullish(),
        outputTokens: z.number().nonnegative().nullish(),
      }),
    )
    .min(1, 'is empty')
    .nullish(),
});
type Answer = z.infer<typeof Answer>;

/** Wait before another attempt: as asked for, in ms, or a short one. Null: it would not help. */
type Again = number | 'soon' | null;

/** What a router has answered so far. A prompt is asked once, whatever the number of folds. */
class RemoteRouter {
  readonly #name: string;
  readonly #url: URL;
  readonly #options: Required<Omit<HttpRouterOptions, 'headers'>> & Pick<HttpRouterOptions, 'headers'>;
  readonly #predictions = new PredictionTable();
  /** Prompt id → the model chosen, of answers without predictions. */
  readonly #choices = new Map<string, string>();
  /** A prompt that was answered in either way, for messages. */
  readonly #first: { ranked?: string; model?: string } = {};
  readonly #answered = new Set<string>();

  constructor(name: string, url: URL, options: HttpRouterOptions) {
    this.#name = name;
    this.#url = url;
    this.#options = {
      timeoutMs: 10_000,
      concurrency: 8,
      retries: 3,
      maxWaitMs: 60_000,
      onProgress: () => {},
      ...options,
    };
  }

  /** No answer so far held predictions. */
  get choosesOnly(): boolean {
    return this.#first.ranked === undefined;
  }

  /** @throws `UPSTREAM_INVALID` unless every answer so far was of this form */
  expect(form: 'ranked' | 'model'): void {
    const other = this.#first[form === 'ranked' ? 'model' : 'ranked'];
    if (other === undefined) return;
    throw new RoutingError(
      'UPSTREAM_INVALID',
      `router "${this.#name}" answers with "ranked" on some prompts (e.g. ${this.#first.ranked}) and without on others ` +
        `(e.g. ${this.#first.model}); one of the two is needed throughout`,
    );
  }

  /** Which of these it has ranked, on whatever prompt. */
  knownOf(modelIds: readonly string[]): string[] {
    return [...namesThere(this.#predictions.modelIds, modelIds).keys()].sort();
  }

  forecast(prompts: readonly Prompt[], modelIds: readonly string[]) {
    const names = namesThere(this.#predictions.modelIds, modelIds);
    return this.#predictions.forecast(prompts, modelIds, (id) => names.get(id) ?? null);
  }

  /** The column chosen for each prompt; where that model was not tried, the first that was. */
  choices({ table }: Part, fallback: readonly number[]): Int16Array {
    const m = table.modelIds.length;
    return Int16Array.from(table.prompts, ({ id }, i) => {
      const tried = (j: number) => !Number.isNaN(table.quality[i * m + j]!);
      const j = table.modelIds.indexOf(poolModel(this.#choices.get(id)!, table.modelIds) ?? '');
      return j >= 0 && tried(j) ? j : fallback.find(tried)!;
    });
  }

  /** Asks about those that have no answer yet, a few at a time. The first failure ends them all. */
  async ask(prompts: readonly Prompt[], what: string, modelIds: readonly string[]): Promise<void> {
    const silent = prompts.filter((p) => p.text.trim() === '');
    if (silent.length > 0) {
      throw new RoutingError(
        'INVALID_CONFIG',
        `router "${this.#name}" cannot be evaluated: ${silent.length} of ${prompts.length} ${what} prompts have no text to ` +
          `send, e.g. ${silent[0]!.id}`,
      );
    }
    const open = prompts.filter((p) => !this.#answered.has(p.id));
    const stop = new AbortController();
    let next = 0;
    let done = 0;
    const work = async () => {
      while (next < open.length && !stop.signal.aborted) {
        const prompt = open[next++]!;
        this.#note(prompt, await this.#decide(prompt, stop.signal), modelIds);
        done++;
        if (done % PROGRESS_EVERY === 0 || done === open.length) {
          this.#options.onProgress(`${this.#name} has answered ${done} of ${open.length} ${what} prompts`);
        }
      }
    };
    const workers = Array.from({ length: Math.min(this.#options.concurrency, open.length) }, work);
    try {
      await Promise.all(workers);
    } catch (error) {
      stop.abort();
      await Promise.allSettled(workers);
      throw error;
    }
    this.expect(this.choosesOnly ? 'model' : 'ranked');
  }

  /** @throws `UPSTREAM_INVALID` when the answer is about none of these models, or about one twice */
  #note(prompt: Prompt, { model, ranked }: Answer, modelIds: readonly string[]): void {
    const named = ranked?.map((r) => r.model) ?? (model ? [model] : []);
    const invalid = (what: string) => this.#failure('UPSTREAM_INVALID', prompt, what);
    if (named.length === 0) throw invalid('answered with neither "ranked" nor "model"');
    if (!named.some((id) => poolModel(id, modelIds) !== null)) {
      const names = named.slice(0, SHOWN).map((id) => shownName(id, prompt));
      throw invalid(
        `answered with ${names.join(', ')}${named.length > SHOWN ? ', …' : ''}, none of the task’s models ` +
          `(${modelIds.slice(0, SHOWN).join(', ')}${modelIds.length > SHOWN ? ', …' : ''}); name them alike`,
      );
    }
    for (const { model: id, quality, costUsd, outputTokens } of ranked ?? []) {
      const prediction = { quality, costUsd: costUsd ?? undefined, outputTokens: outputTokens ?? undefined };
      if (this.#predictions.add(prompt.id, id, prediction)) continue;
      throw invalid(`ranked ${shownName(id, prompt)} twice`);
    }
    if (!ranked) this.#choices.set(prompt.id, model!);
    this.#first[ranked ? 'ranked' : 'model'] ??= prompt.id;
    this.#answered.add(prompt.id);
  }

  async #decide(prompt: Prompt, stop: AbortSignal): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      const result = await this.#request(prompt, stop);
      if ('answer' in result) return result.answer;
      const { failure, again } = result;
      stop.throwIfAborted();
      if (again === null || attempt >= this.#options.retries) throw failure;
      await sleep(again === 'soon' ? FIRST_WAIT_MS * 2 ** attempt : again, undefined, { signal: stop });
    }
  }

  /** @returns the answer, or a failure and whether to try again */
  async #request(
    prompt: Prompt,
    stop: AbortSignal,
  ): Promise<{ answer: Answer } | { failure: RoutingError; again: Again }> {
    const { timeoutMs, maxWaitMs, headers } = this.#options;
    const ours = new AbortController();
    const end = () => ours.abort();
    const timer = setTimeout(end, timeoutMs);
    stop.addEventListener('abort', end);
    const failed = (code: ErrorCode, what: string, again: Again = null, cause?: unknown) => ({
      failure: this.#failure(code, prompt, what, cause),
      again,
    });
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
        body: JSON.stringify({ model: 'auto', messages: [{ role: 'user', content: prompt.text }] }),
        redirect: 'manual',
        signal: ours.signal,
      });
      const body = await readBody(response);
      if (response.status !== 200) {
        const retryable = response.status === 429 || response.status >= 500;
        const wait = retryAfterMs(response.headers.get('retry-after'));
        const tooLong = retryable && wait !== undefined && wait > maxWaitMs;
        const words = `answered with status ${response.status}${codeIn(body)}`;
        if (tooLong) return failed('UPSTREAM_ERROR', `${words} and asks to wait ${Math.ceil(wait / 1000)} s`);
        if (response.status >= 300 && response.status < 400) {
          return failed('UPSTREAM_INVALID', `${words}, a redirect; give the address it points to`);
        }
        return failed('UPSTREAM_ERROR', words, retryable ? (wait ?? 'soon') : null);
      }
      if (body === null)
        return failed('UPSTREAM_INVALID', `answered with more than ${MAX_BODY_BYTES / 1024 / 1024} MB`);
      return this.#parse(prompt, body, response.headers.get('content-type'));
    } catch (cause) {
      if (stop.aborted) return failed('UPSTREAM_CLOSED', 'was not waited for', null, cause);
      if (ours.signal.aborted) {
        return failed('UPSTREAM_TIMEOUT', `gave no whole answer within ${timeoutMs / 1000} s`, 'soon', cause);
      }
      return failed('UPSTREAM_ERROR', `cannot be reached or hung up (${systemCode(cause)})`, 'soon', cause);
    } finally {
      clearTimeout(timer);
      stop.removeEventListener('abort', end);
    }
  }

  #parse(prompt: Prompt, body: string, contentType: string | null) {
    const invalid = (what: string) => ({ failure: this.#failure('UPSTREAM_INVALID', prompt, what), again: null });
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch {
      const type = /^[\w.+-]+\/[\w.+-]+/.exec(contentType ?? '')?.[0] ?? 'no content type';
      return invalid(`answered with ${body.length} characters (${type}) that are not JSON`);
    }
    const parsed = Answer.safeParse(value, PLAIN);
    if (parsed.success) return { answer: parsed.data };
    const { path, message } = parsed.error.issues[0]!;
    const at = path.reduce<unknown>((v, key) => (v as Record<PropertyKey, unknown>)[key], value);
    const is = typeof at === 'number' || typeof at === 'boolean' || at === null ? ` (it is ${at})` : '';
    return invalid(`answered with a field ${path.map(String).join('.') || '(body)'} that is wrong: ${message}${is}`);
  }

  #failure(code: ErrorCode, prompt: Prompt, what: string, cause?: unknown): RoutingError {
    const where = `${this.#url.origin}${this.#url.pathname}`;
    return new RoutingError(code, `router "${this.#name}" at ${where}, prompt ${prompt.id}: it ${what}`, { cause });
  }
}

/** @returns null where it is too long */
async function readBody(response: Response): Promise<string | null> {
  if (!response.body) return '';
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** The code of an error as OpenAI words it. Its message is not passed on: it may quote the prompt. */
function codeIn(body: string | null): string {
  try {
    const { error } = z
      .object({ error: z.object({ code: z.string().regex(/^\w{1,64}$/) }) })
      .parse(JSON.parse(body ?? ''));
    return ` (${error.code})`;
  } catch {
    return '';
  }
}

/** Seconds or a date. @returns undefined where nothing is asked for */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\s*\d+(\.\d+)?\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** The code of a failed connection, or what the client says where it refuses to try (a forbidden port). */
const systemCode = (error: unknown): string => {
  const { cause } = error as { cause?: { code?: unknown; message?: unknown } };
  const known = [cause?.code, cause?.message].find((x) => typeof x === 'string' && x !== '');
  return typeof known === 'string' ? known : 'no reason given';
};

const SHOWN = 5;
/** Only what looks like a model id and is not from the prompt. */
const shownName = (id: string, { text }: Prompt): string =>
  /^[\w.:/@+-]{1,100}$/.test(id) && !text.includes(id) ? `"${id}"` : 'a name that is no model id';

const withoutProvider = (id: string): string => id.slice(id.lastIndexOf('/') + 1);

/** The task's model of this name: to the letter, else the only one that is the same without its provider. */
function poolModel(id: string, modelIds: readonly string[]): string | null {
  if (modelIds.includes(id)) return id;
  const alike = modelIds.filter((known) => withoutProvider(known) === withoutProvider(id));
  return alike.length === 1 ? alike[0]! : null;
}

/** The task's model id → what the router calls it. Two names for one model are no name, unless one is the same to the letter. */
function namesThere(theirs: readonly string[], modelIds: readonly string[]): Map<string, string> {
  const found = new Map<string, string[]>();
  for (const id of theirs) {
    const ours = poolModel(id, modelIds);
    if (ours !== null) found.set(ours, [...(found.get(ours) ?? []), id]);
  }
  const names = new Map<string, string>();
  for (const [ours, list] of found) {
    if (list.includes(ours)) names.set(ours, ours);
    else if (list.length === 1) names.set(ours, list[0]!);
  }
  return names;
}

/** @throws `INVALID_CONFIG` */
function routeUrl(given: string): URL {
  const wrong = (why: string) => new RoutingError('INVALID_CONFIG', `${why}; give http(s)://HOST[/v1/route]`);
  if (!URL.canParse(given)) throw wrong(`"${given}" is no address of a router`);
  const url = new URL(given);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw wrong(`${url.protocol} is not HTTP`);
  if (url.username !== '' || url.password !== '')
    throw wrong('the address of a router may not hold a name or password');
  if (/^\/(v1\/?)?$/.test(url.pathname)) url.pathname = '/v1/route';
  return url;
}

const mean = (xs: Float64Array): number => xs.reduce((sum, x) => sum + x, 0) / xs.length;
