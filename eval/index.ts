/** Was it right? Replays recorded outcomes, compares routers, and says how sure that is. */
export { artifactSource, sourceOf } from './artifact-source.ts';
export { cardText, type DatasetCard, datasetCard } from './card.ts';
export { type EvaluationData, matching, readEvaluationData } from './data.ts';
export { DEFAULT_REPLICATES, type EvaluateOptions, evaluate } from './evaluate.ts';
export type { LearnedSource } from './learned.ts';
export { aiq, aiqLinear, type CostRange } from './metrics/aiq.ts';
export { apgr, cpt, type DeferralPoint, decileThresholds, deferralCurve } from './metrics/apgr.ts';
export { forEachResample, type Interval, percentileInterval } from './metrics/bootstrap.ts';
export { calibrationError, equalMassBins } from './metrics/calibration-error.ts';
export type { CurvePoint } from './metrics/curve-point.ts';
export { costToReach, qualityNeutralCost } from './metrics/quality-neutral-cost.ts';
export { savingAt } from './metrics/savings.ts';
export { upperHull } from './metrics/upper-hull.ts';
export { htmlReport } from './report/html.ts';
export { jsonReport } from './report/json.ts';
export { textReport } from './report/text.ts';
export type { Evaluation, RouterResult } from './result.ts';
