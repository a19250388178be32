/** The one sentence that a hurried reader takes away. */
import type { Evaluation } from '../result.ts';
import { interval, percent, signedPercent, standing } from './format.ts';
import { isDistrusted, learnedRouters } from './plain-words.ts';

export function verdict(e: Evaluation): string {
  const best = learnedRouters(e).find((r) => r.aiqMinusZero.value !== null);
  if (!best) return 'No learned router took part.';
  if (isDistrusted(e, best.name)) {
    return 'No learned router here has figures that can be trusted; the warnings below say why.';
  }
  const lead = `${signedPercent(best.aiqMinusZero.value, 2)} points of AIQ ${interval(best.aiqMinusZero, (x) => signedPercent(x, 2))}`;
  const gap = best.gapRecovered === null ? '' : `, ${percent(best.gapRecovered)} % of the way to the oracle`;
  switch (standing(best.aiqMinusZero)) {
    case 'above':
      return `The best learned router, ${best.name}, beats the best mix of single models by ${lead}${gap}.`;
    case 'below':
      return `No learned router reaches the best mix of single models; the nearest, ${best.name}, is at ${lead}.`;
    default:
      return `No learned router is shown to beat the best mix of single models on this data; ${best.name} is at ${lead}${gap}.`;
  }
}
