/** The gateway's own drift monitor, as the simulation of a silent change feeds it. */
import type { ModelWatch } from '../../../eval/simulate/change.ts';
import { DriftMonitor } from '../../drift/monitor.ts';

/** Alarms about one model, with what they take off its forecasts; nothing else that drifts is simulated. */
export function driftWatch(): ModelWatch {
  const monitor = new DriftMonitor();
  return {
    judged: (model, predicted, observed, at) => monitor.judged({ model, predicted, observed, at }),
    shifts: () =>
      new Map(monitor.found().flatMap(({ subject, shift }) => (subject === null ? [] : [[subject, shift] as const]))),
  };
}
