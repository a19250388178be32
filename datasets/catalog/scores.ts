/** Published facts and scores of models, under licences that let them be shipped: what a prior rests on before there are labels. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { RoutingError } from '../errors.ts';
import { PLAIN } from '../plain-issues.ts';

export const ScoredModel = z.strictObject({
  /** The model's own name, without vendor or seller. */
  name: z.string().min(1),
  /** Month in which it came out, YYYY-MM. */
  released: z
    .string()
    .regex(/^20\d\d-(0[1-9]|1[0-2])$/, 'must be YYYY-MM')
    .optional(),
  inputUsdPerMTok: z.number().nonnegative().optional(),
  outputUsdPerMTok: z.number().nonnegative().optional(),
  /** Thinks in tokens of its own before it answers. */
  reasoning: z.boolean(),
  /** Benchmark, value in the benchmark's unit, source. */
  scores: z.array(z.tuple([z.string(), z.number(), z.string()])),
});
export type ScoredModel = z.infer<typeof ScoredModel>;

export const Scores = z.strictObject({
  /** The day the scores were collected. */
  collected: z.iso.date(),
  sources: z.record(z.string(), z.strictObject({ from: z.string(), licence: z.string(), what: z.string() })),
  /** Unit of each benchmark: percent right, Elo points, or minutes of a person's work. */
  benchmarks: z.record(z.string(), z.enum(['percent', 'elo', 'minutes'])),
  models: z.array(ScoredModel),
});
export type Scores = z.infer<typeof Scores>;

/** Where the shipped scores lie. */
export const shippedScores = (): string => fileURLToPath(new URL('./scores.json', import.meta.url));

/**
 * @param path a `.json` file in the form of the shipped one, which is the default
 * @throws `MISSING_FILE`, `MALFORMED_JSON`, `INVALID_CONFIG` naming the field
 */
export async function readScores(path: string = shippedScores()): Promise<Scores> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new RoutingError('MISSING_FILE', `${path}: cannot read the published scores`, { cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RoutingError('MALFORMED_JSON', `${path}: not JSON (${(cause as Error).message})`, { cause });
  }
  const parsed = Scores.safeParse(value, PLAIN);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new RoutingError('INVALID_CONFIG', `${path}: field ${issue.path.join('.')}: ${issue.message}`);
  }
  for (const { name, scores } of parsed.data.models) {
    const odd = scores.find(([b, , s]) => !(b in parsed.data.benchmarks) || !(s in parsed.data.sources));
    if (odd === undefined) continue;
    throw new RoutingError(
      'INVALID_CONFIG',
      `${path}: ${name}: benchmark ${odd[0]} or source ${odd[2]} is not described above the models`,
    );
  }
  return parsed.data;
}

/** What sellers add to a name without meaning another model. */
const SELLERS_WORDS = new Set(['instruct', 'it', 'chat', 'instant', 'versatile', 'latest', 'preview']);

/**
 * What a model is called wherever it is sold: `groq/llama-3.1-8b-instant`, `ollama/llama3.1:8b` and
 * `meta-llama/llama-3.1-8b-instruct` have one key. Two versions by date have two.
 */
export function modelKey(id: string): string {
  const name = id.slice(id.lastIndexOf('/') + 1).toLowerCase();
  return name
    .replace(/:free$/, '')
    .split(/[^a-z0-9]+/)
    .filter((word) => !SELLERS_WORDS.has(word))
    .join('');
}

/** The entry of a model by any seller's id: by key, else where only one of the two names carries a date. */
export function scoredModel(scores: Scores, id: string): ScoredModel | undefined {
  const named = scores.models.filter((m) => modelKey(m.name) === modelKey(id));
  if (named[0] !== undefined) return named[0];
  const bare = undated(id);
  if (bare !== undefined) return scores.models.find((m) => modelKey(m.name) === modelKey(bare));
  const dated = scores.models.filter((m) => {
    const rest = undated(m.name);
    return rest !== undefined && modelKey(rest) === modelKey(id);
  });
  // Without a date the newest is meant.
  return dated.sort((a, b) => ((a.released ?? '') < (b.released ?? '') ? 1 : -1))[0];
}

/** The name without its date (2024-05-13, 20240513, 2405 or 0513 at the end); undefined where it has none. */
function undated(id: string): string | undefined {
  const rest = id.replace(/[-@](20\d\d-\d\d-\d\d|20\d{6}|\d{4})$/, '');
  return rest === id ? undefined : rest;
}
