/** What the traffic of one artifact says of the world: all detectors together. Fed with rows, it tells what changed. */
import type { AlarmKind } from '../db/records.ts';
import { type Change, ChangeDetector } from './change-detector.ts';
import { InputShiftDetector } from './input-shift.ts';
import { LevelShiftDetector } from './level-shift.ts';

/** A verdict on an answer, and what was forecast of it. */
export interface JudgedAnswer {
  readonly model: string;
  /** In [0, 1], as the artifact forecast it: without what an alarm took off since. */
  readonly predicted: number;
  readonly observed: number;
  /** Whose verdict it is, and what it weighs, in (0, 1]. Default: nobody in particular, 1. */
  readonly team?: string | null;
  readonly weight?: number;
  /** When it was decided, milliseconds since 1970. */
  readonly at: number;
}

/** A call that was answered. */
export interface AnsweredCall {
  readonly model: string;
  readonly deployment: string;
  readonly costUsd: number | null;
  /** As forecast when deciding; null where the client named the model. */
  readonly predictedCostUsd: number | null;
  /** To the first word, for a stream or not. */
  readonly firstByteMs: number | null;
  readonly at: number;
}

export interface FoundAlarm {
  readonly kind: AlarmKind;
  /** Model or deployment; null: all of the traffic. */
  readonly subject: string | null;
  readonly details: Readonly<Record<string, number | string>>;
  /** To be added to the forecasts of the subject, in quality; and to their standard deviation. */
  readonly shift: number;
  readonly widen: number;
  readonly changedAt: Date | null;
}

/** Answers before a change that it takes to call it one: with fewer, the forecasts may never have been right. */
const KNOWN = 50;
/** A mean of few answers is pulled to nothing: worth so many. */
const PRIOR = 10;
/** What other prompts, or costs, or forecasts that are off for all models, leave uncertain of each forecast. */
const UNSURE = 0.05;

export class DriftMonitor {
  readonly #models = new Map<string, ChangeDetector>();
  readonly #all = new ChangeDetector();
  /** By model, the latest. */
  readonly #said = new Map<string, Said[]>();
  readonly #costs = new Map<string, LevelShiftDetector>();
  readonly #latencies = new Map<string, LevelShiftDetector>();
  readonly #inputs = new InputShiftDetector();

  judged({ model, predicted, observed, at, team = null, weight = 1 }: JudgedAnswer): void {
    if (!(predicted >= 0 && predicted <= 1 && observed >= 0 && observed <= 1 && weight > 0 && weight <= 1)) return;
    // What weighs little moves little.
    const heard = predicted + weight * (observed - predicted);
    of(this.#models, model, () => new ChangeDetector()).add(predicted, heard, at);
    this.#all.add(predicted, heard, at);
    const said = of(this.#said, model, () => []);
    said.push({ team, residual: heard - predicted, at });
    if (said.length > REMEMBERED) said.shift();
  }

  called({ model, deployment, costUsd, predictedCostUsd, firstByteMs, at }: AnsweredCall): void {
    if (costUsd !== null && predictedCostUsd !== null) {
      of(this.#costs, model, () => new LevelShiftDetector()).add(costUsd / predictedCostUsd, at);
    }
    if (firstByteMs !== null) of(this.#latencies, deployment, () => new LevelShiftDetector()).add(firstByteMs, at);
  }

  /** @param embedding of a conversation's first prompt */
  prompted(embedding: Float32Array, at: number): void {
    this.#inputs.add(embedding, at);
  }

  /** Everything found so far, each once. */
  found(): FoundAlarm[] {
    const alarms: FoundAlarm[] = [];
    for (const [model, { change }] of this.#models) {
      if (change !== null) alarms.push(modelAlarm(model, change, oneTeamsWord(this.#said.get(model)!, change)));
    }
    const { change } = this.#all;
    if (change !== null)
      alarms.push(calibrationAlarm(null, change, 0, Math.max(UNSURE, Math.abs(change.meanResidual))));
    for (const [model, { shift }] of this.#costs) {
      if (shift !== null) {
        const { ratio, z, since } = shift;
        alarms.push({
          kind: 'price',
          subject: model,
          details: { ratio, z },
          shift: 0,
          widen: 0,
          changedAt: new Date(since),
        });
      }
    }
    for (const [deployment, { shift }] of this.#latencies) {
      if (shift !== null) {
        const { ratio, z, since } = shift;
        const details = { ratio, z };
        alarms.push({ kind: 'latency', subject: deployment, details, shift: 0, widen: 0, changedAt: new Date(since) });
      }
    }
    const { shift: inputs } = this.#inputs;
    if (inputs !== null) {
      const { distance, t2, since } = inputs;
      const changedAt = new Date(since);
      alarms.push({ kind: 'input', subject: null, details: { distance, t2 }, shift: 0, widen: UNSURE, changedAt });
    }
    return alarms;
  }
}

interface Said {
  readonly team: string | null;
  readonly residual: number;
  readonly at: number;
}

/** Verdicts of a model that are looked back on. */
const REMEMBERED = 5_000;
/** Fewer verdicts of the others say neither yes nor no. */
const FEW = 20;

/**
 * The team without which nothing would have been noticed, where others have judged the model, too: it may be right, but
 * it does not steer theirs. The change holds when, whichever team is left out, the others' verdicts since lie a standard
 * error or more on the same side.
 */
function oneTeamsWord(said: readonly Said[], { since, direction }: Change): string | null {
  const teams = new Set(said.map(({ team }) => team));
  if (teams.size < 2) return null;
  const latest = said.filter(({ at }) => at >= since);
  for (const team of teams) {
    const others = latest.filter((one) => one.team !== team).map(({ residual }) => residual);
    const mean = others.reduce((a, b) => a + b, 0) / others.length;
    const variance = others.reduce((sum, r) => sum + (r - mean) ** 2, 0) / Math.max(1, others.length - 1);
    const error = Math.sqrt(variance / others.length);
    const agrees = direction === 'worse' ? mean + error < 0 : mean - error > 0;
    if (others.length < FEW || !agrees) return team ?? '';
  }
  return null;
}

function modelAlarm(model: string, change: Change, onlyTeam: string | null): FoundAlarm {
  if (onlyTeam !== null) {
    const details = { ...told(change), onlyTeam };
    return { kind: 'calibration', subject: model, details, shift: 0, widen: 0, changedAt: null };
  }
  const { answers, meanResidual, error, since } = change;
  // What is better than forecast earns traffic by retraining; what is worse loses it now.
  const shift = Math.min(0, (meanResidual * answers) / (answers + PRIOR));
  if (change.before < KNOWN) return calibrationAlarm(model, change, shift, error);
  return {
    kind: 'model-change',
    subject: model,
    details: told(change),
    shift,
    widen: error,
    changedAt: new Date(since),
  };
}

const calibrationAlarm = (subject: string | null, change: Change, shift: number, widen: number): FoundAlarm => ({
  kind: 'calibration',
  subject,
  details: told(change),
  shift,
  widen,
  changedAt: null,
});

const told = ({ direction, answers, before, meanResidual, error }: Change) => ({
  direction,
  answers,
  before,
  meanResidual,
  error,
});

function of<T>(map: Map<string, T>, name: string, make: () => T): T {
  const known = map.get(name);
  if (known !== undefined) return known;
  const made = make();
  map.set(name, made);
  return made;
}
