/** The result as JSON, checked: a number that is not finite would silently become null. */
import { RoutingError } from '../../datasets/index.ts';
import type { Evaluation } from '../result.ts';

/** @throws `INTERNAL` naming the field that is NaN or infinite */
export function jsonReport(evaluation: Evaluation): string {
  const text = JSON.stringify(
    evaluation,
    (key, value: unknown) => {
      if (typeof value === 'number' && !Number.isFinite(value)) {
        throw new RoutingError('INTERNAL', `evaluation: ${key} is ${value}; please report this`);
      }
      return value;
    },
    2,
  );
  return `${text}\n`;
}
