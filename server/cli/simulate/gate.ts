/** The gate's promises, counted on logs of worlds whose truth is known. */
import { shareOver, type TargetResult, targetResult } from '../../../eval/simulate/target.ts';
import { type GateTrial, simulateGate, type TrialWorld } from '../../learning/gate-trial.ts';

/** A kind of log, and what the gate made of many of them. */
export interface GateCell {
  readonly exploration: number;
  readonly decisions: number;
  /** True difference in utility. */
  readonly difference: number;
  readonly trials: readonly GateTrial[];
}

export function runGate(
  world: TrialWorld,
  { decisions, qualityPerUsd, runs, seed }: { decisions: number; qualityPerUsd: number; runs: number; seed: number },
): GateTrial[] {
  return Array.from({ length: runs }, (_, k) =>
    simulateGate(world, { rows: decisions, seed: seed + k, qualityPerUsd, replicates: REPLICATES }),
  );
}

/** Resamples of one interval: there are hundreds of intervals. */
const REPLICATES = 200;
/** Of the gate, from which on it has to be right. */
const POWER = 0.8;

export function gateTargets(source: string, cells: readonly GateCell[]): TargetResult[] {
  const of = { simulation: 'gate', source };
  const better = cells.filter(({ difference }) => difference > 0).flatMap((cell) => cell.trials);
  const worse = cells.filter(({ difference }) => difference < 0).flatMap((cell) => cell.trials);
  const able = better.filter(({ power }) => power >= POWER);
  const unable = better.filter(({ power }) => power < POWER);
  const trials = cells.flatMap((cell) => cell.trials);
  const checked = trials.filter(({ overlap }) => overlap);
  const unchecked = trials.filter(({ overlap }) => !overlap);
  const promoted = (some: readonly GateTrial[]) => some.filter(({ kind }) => kind === 'promote').length;
  const percent = (x: number) => `${(100 * x).toFixed(0)} %`;
  const found = (
    name: string,
    [count, runs]: readonly [number, number],
    wanted: TargetResult['wanted'],
    note: string,
  ) => targetResult({ ...of, name, unit: 'share', found: shareOver(count, runs), wanted, runs, note });
  const kindOf = ({ exploration, decisions, difference }: GateCell): string =>
    `${percent(exploration)} × ${decisions}, ${difference > 0 ? '+' : '−'}${(100 * Math.abs(difference)).toFixed(1)} points`;
  const describe = cells
    .map((cell) => {
      const t = cell.trials;
      const power = t.reduce((sum, trial) => sum + trial.power, 0) / t.length;
      const insufficient = t.filter(({ kind }) => kind === 'insufficient').length;
      return `${kindOf(cell)}: power ${percent(power)}, promoted ${percent(promoted(t) / t.length)}, insufficient ${percent(insufficient / t.length)}`;
    })
    .join('; ');
  return [
    found(
      'truly better routers (+1 point) promoted, where the power reckoned beforehand is ≥ 80 %',
      [promoted(able), able.length],
      { atLeast: 0.8 },
      describe,
    ),
    found(
      'truly better routers not refused, where the power is less: promoted or “insufficient evidence”',
      [unable.filter(({ kind }) => kind !== 'refuse').length, unable.length],
      { atLeast: 0.95 },
      `of ${unable.length}: ${promoted(unable)} promoted, ${unable.filter(({ kind }) => kind === 'insufficient').length} “insufficient evidence”, for a canary to decide`,
    ),
    found('truly worse routers (−0.5 points or less) promoted', [promoted(worse), worse.length], { atMost: 0.05 }, ''),
    found(
      'intervals that hold the truth, where the overlap checks pass',
      [checked.filter(({ covered }) => covered).length, checked.length],
      { atLeast: 0.93, atMost: 0.97 },
      cells
        .filter(({ trials: t }) => t.some(({ overlap }) => overlap))
        .map((cell) => {
          const t = cell.trials.filter(({ overlap }) => overlap);
          return `${kindOf(cell)}: ${t.filter(({ covered }) => covered).length} of ${t.length}`;
        })
        .join('; '),
    ),
    found(
      'runs that are not promoted where the overlap checks fail',
      [unchecked.length - promoted(unchecked), unchecked.length],
      { atLeast: 1 },
      '',
    ),
  ];
}
