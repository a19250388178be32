/** `GET /v1/usage/curve`: the newest routed decisions chosen anew at every setting of the dial, by the router's own rule. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { desc, eq, sql } from 'drizzle-orm';
import { AVERAGE_MODEL, type RankedCandidate } from '../../router/decision.ts';
import { type Mix, mixForCost, mixForQuality, mixOf, type Point } from '../../router/policy/mix.ts';
import { dialTolerance, type Policy } from '../../router/policy/policy.ts';
import { KNOWN, type Newcomers, oddsOf, UNTRIED } from '../../router/policy/rule.ts';
import { withCandidates } from '../db/candidate-lists.ts';
import { asked } from '../db/connection.ts';
import { decisions } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import type { UsageCurve } from './contract.ts';

/** Settings that are reckoned: 0, ½, 1 … 10. */
export const DIALS: readonly number[] = Array.from({ length: 21 }, (_, i) => i / 2);

/** What of a decision its choice depended on. */
export interface ChoiceRow {
  readonly ranked: readonly Pick<RankedCandidate, 'model' | 'like' | 'quality' | 'costUsd'>[];
  readonly reason: string;
  readonly outOfDomain: number | null;
  /** Exploration was in force. */
  readonly explorable: boolean;
  /** `facts.step`: a planning step has a floor of its own. */
  readonly step: string | null;
}

/** Newest requests among which routed ones are looked for: where hardly any are, they are not looked for for ever. */
const LOOKED_AT = 20_000;

/** The newest routed decisions. @param team null: all. @throws `DATABASE_UNAVAILABLE` */
export async function newestChoices({ db }: Pick<SqlStore, 'db'>, team: string | null, most: number) {
  const newest = db
    .select()
    .from(decisions)
    .where(team === null ? undefined : eq(decisions.tenant, team))
    .orderBy(desc(decisions.createdAt))
    .limit(LOOKED_AT)
    .as('newest');
  const rows = await asked(
    db
      .select({
        ranked: newest.ranked,
        distribution: sql<null>`null`,
        candidates: newest.candidates,
        candidateList: newest.candidateList,
        reason: newest.reason,
        outOfDomain: newest.outOfDomain,
        explorable: newest.explorable,
        step: sql<string | null>`${newest.facts}->>'step'`,
      })
      .from(newest)
      .where(eq(newest.routed, true))
      .limit(most),
  );
  // Of a row that cannot be read nobody knows what there was to choose from.
  return (await withCandidates(db, rows)).filter(
    ({ ranked, damage }): boolean => ranked.length > 0 && damage === undefined,
  );
}

/**
 * Mean predicted quality in [0, 1] and mean predicted cost in USD of a request at each of {@link DIALS}, and in force.
 * A conversation that could not change its model keeps it at every setting; what single requests asked for (a dial, a
 * floor of their own) is left out. Where the policy has a target or a budget, the setting in force is the mix of the
 * curve's own points that meets it on these requests.
 *
 * @param rows n decisions with their candidates' predictions
 * @returns null where there are none
 */
export async function curveOf(rows: readonly ChoiceRow[], policy: Policy): Promise<UsageCurve | null> {
  if (rows.length === 0) return null;
  const prompts = rows.map((row) => promptOf(row, policy));
  const at = (tolerance: number) => totalsAt(prompts, policy, tolerance);
  const points = [];
  for (const dial of DIALS) {
    points.push({ dial, ...at(dialTolerance({ ...policy, dial })) });
    // Requests are not kept waiting for more than one setting.
    await nextTurn();
  }
  const mix = mixInForce(points, prompts, policy);
  const parts = mix.map(({ tolerance, share }) => ({ ...at(tolerance), share }));
  const mean = (of: 'quality' | 'costUsd') => parts.reduce((sum, part) => sum + part.share * part[of], 0);
  return {
    sample: rows.length,
    current: { dial: dialInForce(policy), quality: mean('quality'), costUsd: mean('costUsd') },
    points,
  };
}

/** Null where the setting in force is none of the dial's. */
const dialInForce = ({ dial, target, budget }: Policy): number | null =>
  dial ?? (target === null && budget === null ? 5 : null);

interface Prompt {
  readonly models: readonly string[];
  readonly quality: Float64Array;
  readonly costUsd: Float64Array;
  readonly forced: number | undefined;
  readonly newcomers: Newcomers | undefined;
  readonly minQuality: number;
  readonly exploration: number;
}

function promptOf({ ranked, reason, outOfDomain, explorable, step }: ChoiceRow, policy: Policy): Prompt {
  const abstains = (outOfDomain ?? 0) > policy.maxOutOfDomain && ranked.length > 1;
  const defaultAt = abstains ? ranked.findIndex(({ model }) => model === policy.defaultModel) : -1;
  // What was ranked first is what was chosen.
  const forced = reason === 'pinned' ? 0 : defaultAt >= 0 ? defaultAt : undefined;
  const isUntried = ranked.map(({ like }) => like === AVERAGE_MODEL);
  const novelty = Uint8Array.from(isUntried, (is) => (is ? UNTRIED : KNOWN));
  return {
    models: ranked.map(({ model }) => model),
    quality: Float64Array.from(ranked, ({ quality }) => quality),
    costUsd: Float64Array.from(ranked, ({ costUsd }) => costUsd),
    forced,
    newcomers: isUntried.includes(true) && isUntried.includes(false) ? { share: 0, novelty } : undefined,
    minQuality: step === 'plan' ? Math.max(policy.minQuality, policy.planMinQuality) : policy.minQuality,
    exploration: explorable ? policy.exploration : 0,
  };
}

function totalsAt(prompts: readonly Prompt[], policy: Policy, tolerance: number) {
  const n = prompts.length;
  const models = new Map<string, number>();
  let quality = 0;
  let costUsd = 0;
  for (const prompt of prompts) {
    const { minQuality, exploration, forced, newcomers } = prompt;
    const rule = { tolerance, minQuality, exploration, qualityPerUsd: policy.qualityPerUsd };
    const { probabilities } = oddsOf(prompt.quality, prompt.costUsd, rule, forced, newcomers);
    for (let j = 0; j < probabilities.length; j++) {
      const p = probabilities[j]!;
      if (p === 0) continue;
      quality += (p * prompt.quality[j]!) / n;
      costUsd += (p * prompt.costUsd[j]!) / n;
      const model = prompt.models[j]!;
      models.set(model, (models.get(model) ?? 0) + p / n);
    }
  }
  return { tolerance, quality, costUsd, models: Object.fromEntries([...models].sort((a, b) => b[1] - a[1])) };
}

function mixInForce(points: readonly Point[], prompts: readonly Prompt[], policy: Policy): Mix {
  const { target, budget } = policy;
  if (budget !== null) return mixForCost(points, budget / 1000);
  if (target === null) return mixOf(policy);
  const totals = new Map<string, { sum: number; count: number }>();
  for (const { models, quality } of prompts) {
    models.forEach((model, j) => {
      const total = totals.get(model) ?? { sum: 0, count: 0 };
      totals.set(model, { sum: total.sum + quality[j]!, count: total.count + 1 });
    });
  }
  const means = new Map([...totals].map(([model, { sum, count }]) => [model, sum / count]));
  const reference = means.get(target.reference ?? '') ?? Math.max(...means.values());
  return mixForQuality(points, target.keep * reference);
}
