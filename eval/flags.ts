/** What a reader must not miss, in words: the same in the terminal, in HTML, in Markdown and in JSON. */
import { interval, list, percent, signedPercent, standing, whole } from './report/format.ts';
import type { Evaluation, Flag } from './result.ts';

/** No router that does not see the outcomes is known to recover half of the gap: the field's honest figures lie below 0.35. */
export const LEAK_GAP = 0.5;
/** And so it is where the interval starts above this. */
const SURE_GAP = 0.35;
/** Forecasts this much better (within-benchmark AUC) on the training part than on the test part were fitted on it. */
export const IN_SAMPLE_AUC = 0.08;
/** From this share of test prompts with a twin in training, what is measured is memory. */
export const DUPLICATE_SHARE = 0.01;
/** With fewer even the best single model is a guess: a mean over 50 right-or-wrong answers is known to ±0.14. */
export const FEW_TRAINING_PROMPTS = 50;
/** Fewer test groups cannot show a difference of less than some ten points. */
export const FEW_TEST_GROUPS = 100;

type Judged = Omit<Evaluation, 'flags'>;

/** Which models a router has forecasts for. */
export interface Ranked {
  /** The forecasts were handed in, so a name in them can be misspelt. */
  readonly given: boolean;
  /** Candidates without a forecast: never chosen. */
  readonly missing: readonly string[];
  /** Models that only the forecasts name. */
  readonly unknown: readonly string[];
}

/** What the figures do not tell; by router. */
export interface FlagFacts {
  /** AUC on the training part minus AUC on the test part, where settings came from given forecasts. */
  readonly inSample?: ReadonlyMap<string, number>;
  readonly ranking?: ReadonlyMap<string, Ranked>;
}

export function flagsOf(e: Judged, { inSample = new Map(), ranking = new Map() }: FlagFacts = {}): Flag[] {
  return [
    ...e.routers.flatMap((r): Flag[] => {
      const flags: Flag[] = [];
      const gap = r.metrics.gapRecovered;
      if (r.kind === 'learned' && gap.value !== null && gap.value > LEAK_GAP && (gap.low ?? gap.value) > SURE_GAP) {
        const plain = plainlyTold(e);
        flags.push({
          code: 'LEAKY_ROUTER',
          severity: plain === null ? 'red' : 'note',
          router: r.name,
          message:
            plain === null
              ? `${r.name} recovers ${percent(gap.value, 0)} % of the way from the zero router to the oracle. On public data no router that ` +
                'does not see the outcomes is known to reach half of it: look for test outcomes or test prompts in what it learned from'
              : `${r.name} recovers ${percent(gap.value, 0)} % of the way from the zero router to the oracle, which would point to a ` +
                `leak, but ${plain}, which sees no text, does too: on this data prompts are that easy to tell apart`,
        });
      }
      const kept = r.promised['98'].kept;
      if (r.kind === 'learned' && r.promised['98'].reached && kept.high !== null && kept.high < 0.98) {
        flags.push({
          code: 'PROMISE_NOT_KEPT',
          severity: 'red',
          router: r.name,
          message:
            `${r.name}, set on the training part to keep 98 % of the baseline’s quality, kept ${percent(kept.value)} % ` +
            `${interval(kept, percent)} on the test part: its settings promise too much`,
        });
      }
      const ranked = ranking.get(r.name);
      if (ranked && ranked.missing.length > 0) {
        const others =
          ranked.unknown.length > 0 ? `; its file names ${list(ranked.unknown)}, which this data does not have` : '';
        flags.push({
          code: 'MODELS_NOT_RANKED',
          severity: ranked.given ? 'red' : 'note',
          router: r.name,
          message: `${r.name} has no forecast for ${list(ranked.missing)}, so it never chooses ${ranked.missing.length === 1 ? 'it' : 'them'}${others}`,
        });
      }
      const excess = inSample.get(r.name);
      if (excess !== undefined && excess > IN_SAMPLE_AUC) {
        flags.push({
          code: 'IN_SAMPLE_FORECASTS',
          severity: 'red',
          router: r.name,
          message:
            `${r.name}: its forecasts rank answers better on the training part than on the test part (AUC +${excess.toFixed(2)}). ` +
            'They come from a fit that saw these prompts, so its settings were chosen on forecasts that are too good',
        });
      }
      if (r.kind === 'learned' && standing(r.aiqMinusZero) === 'below') {
        flags.push({
          code: 'BELOW_ZERO',
          severity: 'red',
          router: r.name,
          message: `${r.name} is below the zero router by ${signedPercent(r.aiqMinusZero.value, 2)} points of AIQ: a random mix of single models does better`,
        });
      }
      return flags;
    }),
    ...duplicates(e),
    ...e.controls
      .filter(({ passed }) => !passed)
      .map(
        ({ name, lead, expected }): Flag => ({
          code: 'CONTROL_FAILED',
          severity: 'red',
          message: `${name}: lead ${signedPercent(lead.value, 2)} points, where it should be ${expected}. This board measures something else than skill`,
        }),
      ),
    ...signChanges(e),
    ...wholeComparison(e),
  ];
}

/** A baseline that knows next to nothing of a prompt and recovers half of the gap all the same; null where none does. */
function plainlyTold({ routers }: Judged): string | null {
  const told = routers.find((r) => r.kind === 'baseline' && (r.gapRecovered ?? 0) > LEAK_GAP);
  return told?.name ?? null;
}

function duplicates({ splitDuplicates: d }: Judged): Flag[] {
  if (d.testPrompts === 0) return [];
  const [a, b] = d.examples[0]!;
  return [
    {
      code: 'NEAR_DUPLICATES_ACROSS_SPLIT',
      severity: d.share > DUPLICATE_SHARE ? 'red' : 'note',
      message:
        `${whole(d.testPrompts)} test ${d.testPrompts === 1 ? 'prompt is' : 'prompts are'} (${percent(d.share, 2)} %) nearly the same as a training prompt of another group, ` +
        `e.g. ${a} and ${b}: on these a router is not tested but reminded. Give near-duplicates one groupId`,
    },
  ];
}

/** A claim whose sign hangs on the analysis is none. */
function signChanges(e: Judged): Flag[] {
  return e.routers.flatMap((r): Flag[] => {
    if (r.kind !== 'learned' || !['above', 'below'].includes(standing(r.aiqMinusZero))) return [];
    const sign = Math.sign(r.aiqMinusZero.value!);
    const turned = e.sensitivity.filter(({ leads }) =>
      leads.some(({ router, lead }) => router === r.name && lead.value !== null && Math.sign(lead.value) === -sign),
    );
    if (turned.length === 0) return [];
    return [
      {
        code: 'SIGN_CHANGES',
        severity: 'red',
        router: r.name,
        message: `${r.name}: its lead changes sign with ${list(turned.map(({ analysis }) => analysis))}; claim nothing`,
      },
    ];
  });
}

function wholeComparison(e: Judged): Flag[] {
  const flags: Flag[] = [];
  const hidden = e.hiddenReasoningIncluded;
  if (hidden.length > 0) {
    flags.push({
      code: 'HIDDEN_REASONING',
      severity: 'red',
      message:
        `${hidden.length} reasoning ${hidden.length === 1 ? 'model' : 'models'} kept by --include-reasoning: ${list(hidden)}. The hidden ` +
        'tokens were not counted, so these look cheaper than they are, and every cost, saving and AIQ here is distorted',
    });
  }
  if (e.split === 'benchmark' && e.dropped.trainedGroups > 0) {
    flags.push({
      code: 'BENCHMARKS_NOT_NEW',
      severity: 'red',
      message:
        'these benchmarks are not new to the artifact: it was trained on other prompts of them. Only the heads of +fit ' +
        'meet a left-out benchmark for the first time; for a fair test train an artifact without this data',
    });
  }
  if (e.trainPrompts < FEW_TRAINING_PROMPTS) {
    flags.push({
      code: 'FEW_TRAINING_PROMPTS',
      severity: 'red',
      message:
        `only ${whole(e.trainPrompts)} training ${e.trainPrompts === 1 ? 'prompt' : 'prompts'}: which model is cheapest ` +
        `or best, and every setting, was chosen on these, the oracle’s too. Give ${FEW_TRAINING_PROMPTS} or more`,
    });
  }
  if (e.groups < FEW_TEST_GROUPS) {
    flags.push({
      code: 'FEW_TEST_GROUPS',
      severity: 'note',
      message:
        `only ${whole(e.groups)} test ${e.groups === 1 ? 'group' : 'groups'}: differences of less than ten points or so cannot be ` +
        'told from chance here. The intervals say it',
    });
  }
  const oracle = e.routers.find((r) => r.name === 'oracle');
  if (oracle && oracle.aiqMinusZero.value !== null && oracle.aiqMinusZero.value <= 1e-9) {
    flags.push({
      code: 'NOTHING_TO_ROUTE',
      severity: 'note',
      message:
        'even in hindsight no choice among these models beats the best mix of single models: there is nothing to route here',
    });
  }
  return flags;
}
