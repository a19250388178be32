/** Heads as readable JSON and back. */
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import type { Heads } from '../heads/heads.ts';

const numbers = z.array(z.number());

const HeadsJson = z.strictObject({
  dimension: z.number().int().positive(),
  regions: z.strictObject({ names: z.array(z.string()), weights: numbers, bias: numbers }),
  factors: z.strictObject({
    count: z.number().int().positive(),
    weights: numbers,
    bias: numbers,
    limits: numbers,
    variance: numbers,
  }),
  tokens: z.strictObject({ weights: numbers, bias: z.number(), limits: z.tuple([z.number(), z.number()]) }),
  domain: z.strictObject({
    centres: numbers,
    typical: z.number().positive(),
    near: z.number(),
    far: z.number(),
    known: z.strictObject({ coordinate: z.number().int().nonnegative(), limit: z.number() }).nullable(),
  }),
  models: z
    .array(
      z.strictObject({
        id: z.string(),
        /** Labelled prompts behind this row. */
        evidence: z.number(),
        /** Success logit of a typical prompt, then loadings on the factors. */
        row: numbers,
        covariance: numbers,
        /** Of log(1 + tokens): intercept, slope on the prompt's length factor, ln of the smearing factor. */
        tokens: z.tuple([z.number(), z.number(), z.number()]),
      }),
    )
    .min(1),
});

const round = (x: number): number => Number(x.toPrecision(9));
const list = (a: Float64Array, from = 0, to = a.length): number[] => Array.from(a.subarray(from, to), round);

export function headsToJson(heads: Heads): string {
  const w = heads.factors.count + 1;
  const { regions, factors, tokens, domain } = heads;
  const value: z.infer<typeof HeadsJson> = {
    dimension: heads.dimension,
    regions: { names: [...regions.names], weights: list(regions.weights), bias: list(regions.bias) },
    factors: {
      count: factors.count,
      weights: list(factors.weights),
      bias: list(factors.bias),
      limits: list(factors.limits),
      variance: list(factors.variance),
    },
    tokens: {
      weights: list(tokens.weights),
      bias: round(tokens.bias),
      limits: [round(tokens.limits[0]), round(tokens.limits[1])],
    },
    domain: {
      centres: Array.from(domain.centres, (x) => Number(x.toPrecision(5))),
      typical: round(domain.typical),
      near: round(domain.near),
      far: round(domain.far),
      known: domain.known && { coordinate: domain.known.coordinate, limit: round(domain.known.limit) },
    },
    models: heads.modelIds.map((id, j) => ({
      id,
      evidence: heads.evidence[j]!,
      row: list(heads.rows, j * w, j * w + w),
      covariance: list(heads.covariance, j * w * w, (j + 1) * w * w),
      tokens: [round(tokens.rows[j * 2]!), round(tokens.rows[j * 2 + 1]!), round(tokens.logSmear[j]!)],
    })),
  };
  // One model a line: a diff shows which one moved.
  const { models, ...shared } = value;
  return `{\n${Object.entries(shared)
    .map(([k, v]) => ` ${JSON.stringify(k)}: ${JSON.stringify(v)},`)
    .join('\n')}\n "models": [\n${models.map((v) => `  ${JSON.stringify(v)}`).join(',\n')}\n ]\n}\n`;
}

/** @throws `ARTIFACT_DAMAGED` when the text is no heads file, or its shapes disagree */
export function headsFromJson(text: string): Heads {
  let value: z.infer<typeof HeadsJson>;
  try {
    value = HeadsJson.parse(JSON.parse(text));
  } catch (cause) {
    throw new RoutingError('ARTIFACT_DAMAGED', 'heads.json does not fit its format', { cause });
  }
  const { regions, factors, tokens, domain, models, dimension: d } = value;
  const k = factors.count;
  const b = regions.names.length;
  const w = k + 1;
  const fits =
    regions.weights.length === b * d &&
    regions.bias.length === b &&
    factors.weights.length === k * (d + b) &&
    factors.bias.length === k &&
    factors.limits.length === 2 * k &&
    factors.variance.length === k &&
    tokens.weights.length === d &&
    domain.centres.length > 0 &&
    domain.centres.length % d === 0 &&
    domain.far > domain.near &&
    (domain.known === null || domain.known.coordinate < d) &&
    models.every((m) => m.row.length === w && m.covariance.length === w * w);
  if (!fits) throw new RoutingError('ARTIFACT_DAMAGED', 'heads.json: shapes of weights disagree');
  const flat = (pick: (m: (typeof models)[number]) => readonly number[]): Float64Array =>
    Float64Array.from(models.flatMap(pick));
  return {
    modelIds: models.map((m) => m.id),
    dimension: d,
    regions: {
      names: regions.names,
      weights: Float64Array.from(regions.weights),
      bias: Float64Array.from(regions.bias),
    },
    factors: {
      count: k,
      weights: Float64Array.from(factors.weights),
      bias: Float64Array.from(factors.bias),
      limits: Float64Array.from(factors.limits),
      variance: Float64Array.from(factors.variance),
    },
    rows: flat((m) => m.row),
    covariance: flat((m) => m.covariance),
    tokens: {
      weights: Float64Array.from(tokens.weights),
      bias: tokens.bias,
      limits: tokens.limits,
      rows: flat((m) => m.tokens.slice(0, 2)),
      logSmear: flat((m) => m.tokens.slice(2)),
    },
    domain: {
      centres: Float64Array.from(domain.centres),
      typical: domain.typical,
      near: domain.near,
      far: domain.far,
      known: domain.known,
    },
    evidence: flat((m) => [m.evidence]),
  };
}
