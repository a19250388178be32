/** What was proved of a tolerance, of which prompts, models and prices it is true, and whether it still is. */
import { createHash } from 'node:crypto';
import { z } from 'zod';

export const Certificate = z.strictObject({
  /** κ: share of the reference model's quality that is kept. */
  keep: z.number().min(0).max(1),
  /** δ: probability, over the prompts drawn, that a tolerance is certified that does not keep it. */
  delta: z.number().min(0).max(1),
  method: z.string(),
  /** The greatest tolerance proved; null: not even the first of the grid was, and the policy's is an estimate. */
  tolerance: z.number().nullable(),
  /** Declared beforehand and tried in this order up to the first failure. */
  grid: z.array(
    z.strictObject({
      tolerance: z.number(),
      /** Lower bound on E[quality of the routed − κ · quality of the reference]; null: not tried. */
      bound: z.number().nullable(),
      pass: z.boolean(),
    }),
  ),
  /** The rule had this much exploration in it, and abstained beyond this score. */
  exploration: z.number(),
  maxOutOfDomain: z.number(),
  /** Groups of prompts, one prompt each, in proportion to which the sources are mixed. */
  groups: z.number().int().positive(),
  sources: z.array(
    z.strictObject({
      source: z.string(),
      groups: z.number().int().positive(),
      /** The best single model of the pool on the training part. */
      reference: z.string(),
      pool: z.array(z.string()),
      /** {@link priceBook} of the pool, and where its prices were read. */
      priceBook: z.string(),
      pricesFrom: z.array(z.string()),
    }),
  ),
  /** Share of the certificate's prompts beyond `maxOutOfDomain`, and the upper end of its 95 % interval: more is drift. */
  outOfDomainShare: z.number(),
  maxOutOfDomainShare: z.number(),
});
export type Certificate = z.infer<typeof Certificate>;

export interface Price {
  /** The artifact's model whose predictions are used. */
  readonly model: string;
  readonly inputUsdPerMTok: number;
  readonly outputUsdPerMTok: number;
}

/** A pool and its prices in 16 hex digits, whatever their order. */
export function priceBook(prices: readonly Price[]): string {
  const lines = prices.map((p) => `${p.model} ${p.inputUsdPerMTok} ${p.outputUsdPerMTok}`).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16);
}

/** Whether a certificate speaks of what is done now, and if not, why. */
export interface Standing {
  readonly holds: boolean;
  readonly reason: string;
}

export interface Present {
  /** {@link priceBook} of the candidates. */
  readonly prices: string;
  /** Share of recent prompts beyond `maxOutOfDomain`; null: not known yet. */
  readonly outOfDomainShare: number | null;
  /** The knobs in force; left out: those that were certified. */
  readonly policy?: {
    readonly tolerance: number;
    readonly minQuality: number;
    readonly planMinQuality?: number;
    readonly maxCostUsd: number | null;
    readonly qualityPerUsd: number | null;
    readonly dial: number | null;
    readonly target: unknown;
    readonly budget: number | null;
    readonly exploration: number;
    readonly defaultModel: string | null;
    readonly maxOutOfDomain: number;
  };
}

export function certificateHolds(certificate: Certificate | null, present: Present): Standing {
  const no = (reason: string): Standing => ({ holds: false, reason });
  if (certificate === null) return no('this artifact carries no certificate; its tolerance is an estimate');
  const { keep, delta, sources, groups } = certificate;
  const percent = (share: number) => `${Number((100 * share).toFixed(1))} %`;
  if (certificate.tolerance === null) {
    return no(`no tolerance could be shown to keep ${percent(keep)} of the quality on ${groups} groups of prompts`);
  }
  const { policy } = present;
  if (policy !== undefined) {
    const proved = certificate.grid.some(({ tolerance, pass }) => pass && tolerance === policy.tolerance);
    if (!proved || (policy.dial ?? 5) !== 5 || policy.target !== null || policy.budget !== null) {
      return no(`it is for the tolerance ${certificate.tolerance}, not for the trade-off in force`);
    }
    const differs = [
      policy.minQuality !== 0 && 'minQuality',
      (policy.planMinQuality ?? 0) !== 0 && 'planMinQuality',
      policy.maxCostUsd !== null && 'maxCostUsd',
      policy.qualityPerUsd !== null && 'qualityPerUsd',
      policy.exploration !== certificate.exploration && 'exploration',
      policy.defaultModel !== null && 'defaultModel',
      policy.maxOutOfDomain !== certificate.maxOutOfDomain && 'maxOutOfDomain',
    ].find((name) => name !== false);
    if (differs !== undefined) return no(`${differs} is not as it was when it was certified`);
  }
  const other = sources.find((s) => s.priceBook !== present.prices);
  if (other !== undefined) {
    return no(
      `the candidates or their prices are not those of ${other.source} (${other.pool.length} models) it was certified on`,
    );
  }
  const { outOfDomainShare } = present;
  if (outOfDomainShare !== null && outOfDomainShare > certificate.maxOutOfDomainShare) {
    return no(
      `drift: ${percent(outOfDomainShare)} of the prompts are unlike the training data, ${percent(certificate.outOfDomainShare)} when it was certified`,
    );
  }
  const names = sources.map(({ source }) => source).join(', ');
  return {
    holds: true,
    reason: `keeps ${percent(keep)} of ${sources.map((s) => s.reference).join(', ')} on prompts like ${names}, with ${percent(1 - delta)} confidence`,
  };
}
