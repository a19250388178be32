/**
 * The operating point in detail: how a router does on each kind of prompt, and on which prompts it chose worst. Read at
 * the settings that were to keep 98 % of the baseline's quality, chosen on the training part.
 */
import type { Prompt } from '../datasets/index.ts';
import type { MeasuredPart } from './choices.ts';
import { forEachResample, percentileInterval } from './metrics/bootstrap.ts';
import type { CurvePoint } from './metrics/curve-point.ts';
import { cheapestKeeping, OPERATING_SHARE, type SettingShare, settingShares } from './operating-point.ts';
import type { Part } from './part.ts';
import type { Regretted, Slice } from './result.ts';

/** A slice of fewer prompts is joined with others of its kind: its figures would be noise. */
export const MIN_SLICE = 20;
/** Slices of one kind that are shown. */
const MOST_SLICES = 30;
const REST = '(others)';

/** One test part, with the router and the baseline as measured on it. */
export interface OperatingPart {
  readonly part: Part;
  readonly router: MeasuredPart;
  readonly baseline: MeasuredPart;
  readonly unitOf: Int32Array;
  /** λ: quality that one USD is worth. */
  readonly qualityPerUsd: number;
}

/** What each prompt cost and reached in expectation over the settings in use. */
interface Expected {
  readonly costUsd: Float64Array;
  readonly quality: Float64Array;
  /** Null where the router keeps the target nowhere: the baseline answers. */
  readonly settings: readonly SettingShare[] | null;
}

function expectedOf({ router, baseline }: OperatingPart): Expected {
  const mix = cheapestKeeping(router.frozen, OPERATING_SHARE);
  const fixed = baseline.measurement.outcomes.get(0)!;
  if (!mix) return { costUsd: fixed.costUsd, quality: fixed.quality, settings: null };
  const settings = settingShares(router.frozen, mix);
  const costUsd = new Float64Array(fixed.costUsd.length);
  const quality = new Float64Array(fixed.costUsd.length);
  for (const { setting, share } of settings) {
    const outcome = router.measurement.outcomes.get(setting)!;
    for (let i = 0; i < costUsd.length; i++) {
      costUsd[i]! += share * outcome.costUsd[i]!;
      quality[i]! += share * outcome.quality[i]!;
    }
  }
  return { costUsd, quality, settings };
}

/** Mean cost and quality of a prompt at the operating point. */
export function operatingMeans(parts: readonly OperatingPart[]): CurvePoint {
  const all = parts.map(expectedOf);
  const mean = (of: (expected: Expected) => Float64Array) =>
    all.reduce((sum, one) => sum + of(one).reduce((a, b) => a + b, 0), 0) /
    all.reduce((sum, { quality }) => sum + quality.length, 0);
  return { costUsd: mean((one) => one.costUsd), quality: mean((one) => one.quality) };
}

/**
 * Cost and quality of a router beside the baseline's, prompt by prompt of the same kind.
 * @param nameOf kind of a prompt; kinds of under {@link MIN_SLICE} prompts are joined as "(others)"
 */
export function slices(
  parts: readonly OperatingPart[],
  nameOf: (prompt: Prompt) => string,
  options: { replicates: number; seed: number },
): Slice[] {
  const counts = new Map<string, number>();
  const rows = parts.flatMap((operating) => {
    const own = expectedOf(operating);
    const fixed = operating.baseline.measurement.outcomes.get(0)!;
    return operating.part.table.prompts.map((prompt, i) => {
      const name = nameOf(prompt);
      counts.set(name, (counts.get(name) ?? 0) + 1);
      return {
        name,
        unit: operating.unitOf[i]!,
        sums: [own.costUsd[i]!, own.quality[i]!, fixed.costUsd[i]!, fixed.quality[i]!],
      };
    });
  });
  const large = [...counts].filter(([, count]) => count >= MIN_SLICE).sort((a, b) => b[1] - a[1]);
  const shown = new Set(large.slice(0, MOST_SLICES).map(([name]) => name));
  const names = [...shown].sort();
  if (rows.some(({ name }) => !shown.has(name))) names.push(REST);
  return names.map((name) => {
    const own = rows.filter((row) => (shown.has(row.name) ? row.name : REST) === name);
    return sliceOf(name, own, options);
  });
}

function sliceOf(
  name: string,
  rows: readonly { readonly unit: number; readonly sums: readonly number[] }[],
  { replicates, seed }: { replicates: number; seed: number },
): Slice {
  const place = new Map<number, number>();
  for (const { unit } of rows) if (!place.has(unit)) place.set(unit, place.size);
  const columns = [0, 1, 2, 3].map(() => new Float64Array(place.size));
  const count = new Float64Array(place.size);
  for (const { unit, sums } of rows) {
    const u = place.get(unit)!;
    count[u]! += 1;
    sums.forEach((x, c) => {
      columns[c]![u]! += x;
    });
  }
  const figures = (weights: ArrayLike<number>) => {
    const [n, cost, quality, baseCost, baseQuality] = [count, ...columns].map((column) => {
      let sum = 0;
      for (let u = 0; u < place.size; u++) sum += weights[u]! * column[u]!;
      return sum;
    });
    return {
      quality: quality! / n!,
      baselineQuality: baseQuality! / n!,
      change: (quality! - baseQuality!) / n!,
      costShare: baseCost! > 0 ? cost! / baseCost! : null,
    };
  };
  const value = figures(new Float64Array(place.size).fill(1));
  const change = new Float64Array(replicates);
  const costShare = new Float64Array(replicates);
  forEachResample(place.size, replicates, seed, (weights, r) => {
    const drawn = figures(weights);
    change[r] = drawn.change;
    costShare[r] = drawn.costShare ?? Number.NaN;
  });
  const none = { low: null, high: null };
  return {
    name,
    prompts: rows.length,
    groups: place.size,
    quality: value.quality,
    baselineQuality: value.baselineQuality,
    qualityChange: { value: value.change, ...(place.size > 1 ? percentileInterval(change) : none) },
    costShare: { value: value.costShare, ...(place.size > 1 ? percentileInterval(costShare) : none) },
  };
}

/**
 * The prompts with the greatest regret: utility q − λ c of the best choice in hindsight minus that of what was done.
 * @param withText prompts in the list carry their text
 */
export function mostRegretted(parts: readonly OperatingPart[], most: number, withText: boolean): Regretted[] {
  const all: Regretted[] = [];
  for (const operating of parts) {
    const { part, qualityPerUsd, router } = operating;
    const { settings } = expectedOf(operating);
    const choices = settings?.map(({ setting, share }) => ({
      share,
      choice: router.measurement.outcomes.get(setting)!.choice,
    }));
    // What several calls or a lot decided has no one model to blame.
    if (!choices?.every(({ choice }) => choice)) continue;
    const { table, costUsd } = part;
    const m = table.modelIds.length;
    const utility = (at: number) => table.quality[at]! - qualityPerUsd * costUsd[at]!;
    const cell = (at: number, predicted: number | undefined) => ({
      model: table.modelIds[at % m]!,
      quality: table.quality[at]!,
      costUsd: costUsd[at]!,
      predicted: predicted === undefined || Number.isNaN(predicted) ? null : predicted,
    });
    table.prompts.forEach((prompt, i) => {
      let best = -1;
      for (let at = i * m; at < i * m + m; at++) {
        if (!Number.isNaN(table.quality[at]!) && (best < 0 || utility(at) > utility(best))) best = at;
      }
      const chosen = choices.map(({ choice, share }) => ({ at: i * m + choice![i]!, share }));
      const regret = utility(best) - chosen.reduce((sum, { at, share }) => sum + share * utility(at), 0);
      if (regret <= 0) return;
      const worst = chosen.reduce((a, b) => (utility(b.at) < utility(a.at) ? b : a));
      const { predicted } = router.measurement;
      all.push({
        promptId: prompt.id,
        benchmark: prompt.benchmark,
        regret,
        chosen: cell(worst.at, predicted?.[worst.at]),
        better: cell(best, predicted?.[best]),
        ...(withText && prompt.text !== '' && { text: prompt.text }),
      });
    });
  }
  all.sort((a, b) => b.regret - a.regret || (a.promptId < b.promptId ? -1 : 1));
  return all.slice(0, most);
}
