/** Forecasts against outcomes: on the diagonal a router means what it says. */
import type { ReliabilityBin } from '../result.ts';
import { percent, whole } from './format.ts';
import { escapeHtml } from './svg.ts';

const SIZE = 250;
const MARGIN = { left: 40, right: 10, top: 10, bottom: 40 };

export function calibrationChart(name: string, bins: readonly ReliabilityBin[], id: string): string {
  const x = (v: number) => MARGIN.left + v * (SIZE - MARGIN.left - MARGIN.right);
  const y = (v: number) => SIZE - MARGIN.bottom - v * (SIZE - MARGIN.top - MARGIN.bottom);
  const f = (v: number) => v.toFixed(1);
  const parts = [0, 0.25, 0.5, 0.75, 1].flatMap((t) => [
    `<line class="grid" x1="${f(x(0))}" x2="${f(x(1))}" y1="${f(y(t))}" y2="${f(y(t))}"/>`,
    `<text class="tick" x="${MARGIN.left - 6}" y="${f(y(t) + 4)}" text-anchor="end">${percent(t, 0)}</text>`,
    `<text class="tick" x="${f(x(t))}" y="${f(y(0) + 15)}" text-anchor="middle">${percent(t, 0)}</text>`,
  ]);
  parts.push(
    `<line class="ideal" x1="${f(x(0))}" y1="${f(y(0))}" x2="${f(x(1))}" y2="${f(y(1))}"/>`,
    `<text class="axis" x="${f(x(0.5))}" y="${SIZE - 8}" text-anchor="middle">forecast, %</text>`,
    `<text class="axis" x="11" y="${f(y(0.5))}" text-anchor="middle" transform="rotate(-90 11 ${f(y(0.5))})">right answers, %</text>`,
  );
  for (const bin of bins) {
    const tip = `forecast ${percent(bin.predicted)} %, right ${percent(bin.observed)} %${bin.low === null ? '' : ` [${percent(bin.low)}, ${percent(bin.high)}]`}, ${whole(bin.n)} answers`;
    parts.push(
      bin.low === null || bin.high === null
        ? ''
        : `<line class="whisker" x1="${f(x(bin.predicted))}" x2="${f(x(bin.predicted))}" y1="${f(y(bin.low))}" y2="${f(y(bin.high))}"/>`,
      `<circle class="mark" cx="${f(x(bin.predicted))}" cy="${f(y(bin.observed))}" r="3.6"/>`,
      `<circle class="hit" cx="${f(x(bin.predicted))}" cy="${f(y(bin.observed))}" r="9" data-tip="${escapeHtml(tip)}"><title>${escapeHtml(tip)}</title></circle>`,
    );
  }
  return (
    `<svg class="series s0" viewBox="0 0 ${SIZE} ${SIZE}" role="img" aria-labelledby="${id}-title ${id}-desc" xmlns="http://www.w3.org/2000/svg">` +
    `<title id="${id}-title">Calibration of ${escapeHtml(name)}</title><desc id="${id}-desc">Share of right answers by forecast, in ${bins.length} bins of equal mass, with 95 % intervals. The figures stand in the JSON.</desc>${parts.join('')}</svg>`
  );
}
