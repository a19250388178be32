/** Conditions on a result, for a gate in CI: `savings@98>=0.3`, `ece<=0.05`, `aiqMinusZero.low>=0`. */
import { RoutingError } from '../datasets/index.ts';
import { FIGURES, type FigureName } from './figures.ts';
import { DASH, decimals, interval } from './report/format.ts';
import type { Evaluation, RouterResult } from './result.ts';

const COMPARISONS = {
  '>=': (a: number, b: number) => a >= b,
  '<=': (a: number, b: number) => a <= b,
  '>': (a: number, b: number) => a > b,
  '<': (a: number, b: number) => a < b,
} as const;
type Comparison = keyof typeof COMPARISONS;

/** Names that read better on a command line. */
const ALIASES: Readonly<Record<string, FigureName>> = Object.fromEntries(
  (['95', '98', '100'] as const).flatMap((share) => [
    [`savings@${share}`, `saving${share}`],
    [`saving@${share}`, `saving${share}`],
    [`promised@${share}`, `promisedSaving${share}`],
    [`kept@${share}`, `keptQuality${share}`],
  ]),
);
/** How many red flags the router or the whole comparison carries. */
const RED_FLAGS = 'redFlags';

export interface Requirement {
  /** As it was written. */
  readonly text: string;
  readonly figure: FigureName | typeof RED_FLAGS;
  /** The value itself, or an end of its 95 % interval. */
  readonly of: 'value' | 'low' | 'high';
  readonly comparison: Comparison;
  readonly limit: number;
}

/**
 * @param text figure, comparison, number; shares as fractions: `savings@98>=0.3` asks for 30 %
 * @throws `INVALID_CONFIG` saying what can be asked
 */
export function parseRequirement(text: string): Requirement {
  const [, name, end, comparison, limit] =
    /^\s*([\w@]+?)(?:\.(value|low|high))?\s*(>=|<=|>|<)\s*(-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?)\s*$/i.exec(text) ?? [];
  if (name === undefined) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `--require "${text}": write a figure, >= or <= (> or <), and a number, e.g. "savings@98>=0.3" or "aiqMinusZero.low>=0"`,
    );
  }
  const figure = name === RED_FLAGS ? RED_FLAGS : (ALIASES[name] ?? FIGURES.find((known) => known === name));
  if (figure === RED_FLAGS && end !== undefined) {
    throw new RoutingError('INVALID_CONFIG', `--require "${text}": ${RED_FLAGS} is a count and has no ends`);
  }
  if (figure === undefined) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `--require "${text}": there is no figure "${name}"; there are ${[...Object.keys(ALIASES).filter((a) => !a.startsWith('saving@')), RED_FLAGS, ...FIGURES].join(', ')}`,
    );
  }
  return {
    text: text.trim(),
    figure,
    of: (end as Requirement['of'] | undefined) ?? 'value',
    comparison: comparison as Comparison,
    limit: Number(limit),
  };
}

export interface Verdict {
  readonly requirement: Requirement;
  readonly passed: boolean;
  /** What was asked and what there is, in one line. */
  readonly line: string;
}

/** @param router whose figures are asked for. A figure without a value fails, whatever was asked of it */
export function checkRequirements(
  requirements: readonly Requirement[],
  evaluation: Evaluation,
  router: RouterResult,
): Verdict[] {
  return requirements.map((requirement) => {
    const { text, figure, of, comparison, limit } = requirement;
    if (figure === RED_FLAGS) {
      // What is wrong with another router is no fault of this one.
      const own = evaluation.flags.filter((f) => f.router === undefined || f.router === router.name);
      const red = own.filter(({ severity }) => severity === 'red').length;
      return { requirement, passed: COMPARISONS[comparison](red, limit), line: `${text}: there are ${red}` };
    }
    const share = /^(?:promisedSaving|keptQuality)(95|98|100)$/.exec(figure)?.[1] as '95' | '98' | '100' | undefined;
    if (share !== undefined && !router.promised[share].reached) {
      const line = `${text}: ${router.name} keeps ${share} % nowhere on the training part, so the baseline would answer`;
      return { requirement, passed: false, line };
    }
    const estimate = router.metrics[figure];
    const value = estimate[of];
    const bounds = interval(estimate, (x) => (x === null ? DASH : decimals(x)));
    return {
      requirement,
      passed: value !== null && COMPARISONS[comparison](value, limit),
      line:
        value === null
          ? `${text}: ${router.name} has no ${of === 'value' ? 'value' : 'bound'} for it here`
          : `${text}: ${router.name} has ${decimals(value)}${of === 'value' ? ` ${bounds}`.trimEnd() : ''}`,
    };
  });
}
