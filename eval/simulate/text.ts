/** Targets for people: what was found beside what was wanted, then what lies behind it. */
import type { TargetResult, TargetUnit, Wanted } from './target.ts';

export function simulationText(targets: readonly TargetResult[]): string {
  const lines = targets.map((target, k) => {
    const head = target.simulation === targets[k - 1]?.simulation && target.source === targets[k - 1]?.source;
    const { found, unit, wanted, runs, note, name } = target;
    const interval =
      found.low === null || found.high === null
        ? 'no interval'
        : `${shown(found.low, unit)} to ${shown(found.high, unit)}`;
    const value = found.value === null ? '–' : shown(found.value, unit);
    return (
      `${head ? '' : `\n${target.simulation} on ${target.source}\n`}` +
      `  ${name}\n` +
      `      ${value} (${interval}; ${runs} runs)${wanted === null ? '' : `, wanted ${wantedText(wanted, unit)}: ${verdict(target)}`}\n` +
      `${note === '' ? '' : `      ${note}\n`}`
    );
  });
  const asked = targets.filter(({ wanted }) => wanted !== null);
  const met = asked.filter(({ isMet }) => isMet === true).length;
  return `${lines.join('')}\n${met} of ${asked.length} targets met; intervals are 95 %, over runs\n`;
}

const verdict = ({ isMet, isSure }: TargetResult): string =>
  isMet === null ? 'nothing to tell by' : `${isMet ? 'met' : 'MISSED'}${isSure ? ' (sure)' : ''}`;

function wantedText({ atLeast, atMost }: Wanted, unit: TargetUnit): string {
  if (atLeast !== undefined && atMost !== undefined) return `${shown(atLeast, unit)} to ${shown(atMost, unit)}`;
  return atLeast === undefined ? `≤ ${shown(atMost!, unit)}` : `≥ ${shown(atLeast, unit)}`;
}

function shown(x: number, unit: TargetUnit): string {
  if (unit === 'decisions') return x.toFixed(0);
  return unit === 'share' ? `${(100 * x).toFixed(1)} %` : `${(100 * x).toFixed(2)} points`;
}
