/** Every figure of a router by name: what it is, in which unit, which way is better. The names are those of the JSON. */

export interface FigureInfo {
  /** In a few words, for tables. */
  readonly title: string;
  /** `share` is shown in percent. */
  readonly unit: 'share' | 'number';
  readonly better: 'high' | 'low' | 'zero' | 'neither';
  /** Where a resample without a value counts: at the end it would have been on. Default: it is left undefined. */
  readonly undefinedAt?: number;
  /** Every resample makes it greater: its interval is moved by the mean of that. */
  readonly biased?: boolean;
  /** Whose definition, or where ours is explained. */
  readonly by: string;
}

const share = (title: string, better: FigureInfo['better'], by: string, undefinedAt?: number): FigureInfo => ({
  title,
  unit: 'share',
  better,
  by,
  ...(undefinedAt !== undefined && { undefinedAt }),
});
const NEVER = Number.POSITIVE_INFINITY;
const NO_SAVING = Number.NEGATIVE_INFINITY;

const INFO = {
  aiq: share('AIQ over log cost', 'high', 'ours; metrics/aiq.ts'),
  aiqMinusZero: share('AIQ minus the zero router’s', 'high', 'ours'),
  aiqLinear: share('AIQ over cost', 'high', 'RouterBench, over the pool’s full cost range'),
  aiqLinearMinusZero: share('AIQ over cost minus the zero router’s', 'high', 'ours'),
  gapRecovered: share('share of the way from zero router to oracle', 'high', 'ours'),
  apgr: { ...share('APGR', 'high', 'RouteLLM, both ends fixed'), unit: 'number' },
  cpt50: share('CPT(50 %)', 'low', 'RouteLLM, both ends fixed', NEVER),
  cpt80: share('CPT(80 %)', 'low', 'RouteLLM, both ends fixed', NEVER),
  qualityNeutralCost: share('cost at the baseline’s quality', 'low', 'UniRoute', NEVER),
  saving95: share('saving at 95 % of the baseline’s quality', 'high', 'ours', NO_SAVING),
  saving98: share('saving at 98 %', 'high', 'ours', NO_SAVING),
  saving100: share('saving at 100 %', 'high', 'ours', NO_SAVING),
  ece: { ...share('expected calibration error', 'low', '15 bins of equal mass'), biased: true },
  promisedSaving95: share('saved when asked to keep 95 %', 'high', 'ours'),
  promisedSaving98: share('saved when asked to keep 98 %', 'high', 'ours'),
  promisedSaving100: share('saved when asked to keep 100 %', 'high', 'ours'),
  keptQuality95: share('kept when asked to keep 95 %', 'high', 'ours'),
  keptQuality98: share('kept when asked to keep 98 %', 'high', 'ours'),
  keptQuality100: share('kept when asked to keep 100 %', 'high', 'ours'),

  costApgr: { ...share('APGR over cost', 'high', 'RouteLLM’s, cost in place of calls'), unit: 'number' },
  costCpt50: share('CPT(50 %) over cost', 'low', 'RouteLLM’s, cost in place of calls', NEVER),
  costCpt80: share('CPT(80 %) over cost', 'low', 'RouteLLM’s, cost in place of calls', NEVER),
  routerBenchAiq: share('AIQ as RouterBench codes it', 'high', 'RouterBench; hull on the test part, so optimistic'),
  deferralArea: share('deferral-curve area', 'high', 'UniRoute'),
  deferralAreaHalf: share('the same up to half of the cost', 'high', 'CSCR'),
  hypervolume: share('hypervolume, share of the oracle’s', 'high', 'metrics/hypervolume.ts'),
  hypervolumeLog: share('the same over log cost', 'high', 'metrics/hypervolume.ts'),
  gainAtRandom: share('Gain@R', 'high', 'LLMRouterBench, at the best point'),
  gainAtBest: share('Gain@B', 'high', 'LLMRouterBench, at the best point'),
  gapAtOracle: share('Gap@O', 'low', 'LLMRouterBench, at the best point'),
  perfGain: share('PerfGain', 'high', 'LLMRouterBench; best point of the test part, so optimistic'),
  costSave: share('CostSave', 'high', 'LLMRouterBench', NO_SAVING),
  paretoDist: share('ParetoDist', 'low', 'LLMRouterBench, our normalisation'),
  arenaScore: share('Arena score', 'high', 'RouterArena, at the operating point'),
  optSel: share('OptSel', 'high', 'RouterArena, at the operating point'),
  optCost: share('OptCost', 'high', 'RouterArena, at the operating point'),
  optAcc: share('OptAcc', 'high', 'RouterArena, at the operating point'),
  regret: share('regret at the exchange rate', 'low', 'q − λ c against the best choice in hindsight'),
  brier: { ...share('Brier score', 'low', 'Brier 1950'), unit: 'number' },
  logLoss: { ...share('log loss', 'low', 'nats'), unit: 'number' },
  excessLogLoss: { ...share('log loss above the outcomes’ entropy', 'low', 'nats'), unit: 'number' },
  decisionBias: share('forecast minus outcome of what was chosen', 'zero', 'decision calibration'),
  withinAuc: { ...share('AUC within benchmark', 'high', 'metrics/auc.ts'), unit: 'number' },
  costBias: share('forecast cost / cost − 1', 'zero', 'metrics/forecast-error.ts'),
  costError: { ...share('|ln forecast cost / cost|', 'low', 'mean over answers'), unit: 'number' },
  tokenError: { ...share('|ln forecast tokens / tokens|', 'low', 'mean over answers'), unit: 'number' },
} satisfies Record<string, FigureInfo>;

export type FigureName = keyof typeof INFO;
export const FIGURE_INFO: Readonly<Record<FigureName, FigureInfo>> = INFO;
export const FIGURES = Object.keys(INFO) as FigureName[];

/** Every figure of one router; null where it is not defined. */
export type Figures = Readonly<Record<FigureName, number | null>>;
