/** Curves over decisions with their bands and the events of a replay: readable without script, without colour, by a screen reader too. */
import type { Estimate, ReplayResult } from '../replay/result.ts';
import { escapeHtml } from './svg.ts';

export interface Curve {
  readonly name: string;
  readonly points: readonly (Estimate & { readonly x: number })[];
}

const DASHES = ['', '9 3', '2 3', '12 3 2 3'];

/** @param unit what stands at the vertical axis */
export function replayChart(
  curves: readonly Curve[],
  { decisions, events }: Pick<ReplayResult, 'decisions' | 'events'>,
  { width, height }: { readonly width: number; readonly height: number },
  id: string,
  unit: string,
): string {
  const margin = { left: 52, right: 92, top: 22, bottom: 40 };
  const values = curves.flatMap((c) => c.points.flatMap((p) => [p.value, p.low, p.high])).filter((v) => v !== null);
  const [low, high] = padded(Math.min(...values), Math.max(...values));
  const bottom = height - margin.bottom;
  const right = width - margin.right;
  const x = (t: number) => margin.left + (t / decisions) * (right - margin.left);
  const y = (v: number) => margin.top + ((high - v) / (high - low)) * (bottom - margin.top);
  const parts: string[] = [];
  for (const tick of ticks(low, high, 5)) {
    parts.push(
      `<line class="${tick === 0 ? 'zero' : 'grid'}" x1="${margin.left}" x2="${right}" y1="${f(y(tick))}" y2="${f(y(tick))}"/>`,
      `<text class="tick" x="${margin.left - 6}" y="${f(y(tick) + 4)}" text-anchor="end">${label(tick)}</text>`,
    );
  }
  for (const tick of ticks(0, decisions, width < 500 ? 3 : 6)) {
    parts.push(
      `<text class="tick" x="${f(x(tick))}" y="${bottom + 16}" text-anchor="middle">${Math.round(tick)}</text>`,
    );
  }
  parts.push(
    `<text class="axis" x="${f((margin.left + right) / 2)}" y="${height - 6}" text-anchor="middle">decisions</text>`,
    `<text class="axis" x="12" y="${f((margin.top + bottom) / 2)}" text-anchor="middle" transform="rotate(-90 12 ${f((margin.top + bottom) / 2)})">${escapeHtml(unit)}</text>`,
  );
  events.forEach((event, k) => {
    const from = event.kind === 'outage' ? event.from : event.at;
    const at = f(x(from - 1));
    parts.push(
      event.kind === 'outage'
        ? `<rect class="outage" x="${at}" y="${margin.top}" width="${f(Math.max(1, x(event.to) - x(from - 1)))}" height="${bottom - margin.top}"/>`
        : `<line class="event" x1="${at}" x2="${at}" y1="${margin.top}" y2="${bottom}"/>`,
      `<text class="mark-text" x="${at}" y="${margin.top - 6}">${k + 1}</text>`,
    );
  });
  const ends: { name: string; k: number; y: number }[] = [];
  curves.forEach((curve, k) => {
    const known = curve.points.filter((p) => p.value !== null);
    if (known.length === 0) return;
    const banded = known.filter((p) => p.low !== null && p.high !== null);
    const edge = [
      ...banded.map((p) => `${f(x(p.x))},${f(y(p.high!))}`),
      ...[...banded].reverse().map((p) => `${f(x(p.x))},${f(y(p.low!))}`),
    ];
    parts.push(
      `<g class="series s${k % 8}"><title>${escapeHtml(curve.name)}</title>` +
        (banded.length > 1 ? `<polygon class="band" points="${edge.join(' ')}"/>` : '') +
        `<polyline class="line" points="${known.map((p) => `${f(x(p.x))},${f(y(p.value!))}`).join(' ')}"${DASHES[k % 4] === '' ? '' : ` stroke-dasharray="${DASHES[k % 4]}"`}/>` +
        `${known.map((p) => `<circle class="mark" cx="${f(x(p.x))}" cy="${f(y(p.value!))}" r="2.6"><title>${escapeHtml(curve.name)} at ${Math.round(p.x)}: ${label(p.value!)}</title></circle>`).join('')}</g>`,
    );
    ends.push({ name: curve.name, k, y: y(known.at(-1)!.value!) + 4 });
  });
  let taken = Number.NEGATIVE_INFINITY;
  for (const end of ends.sort((a, b) => a.y - b.y)) {
    taken = Math.max(end.y, taken + 14);
    parts.push(
      `<g class="series s${end.k % 8}"><text class="label" x="${right + 8}" y="${f(taken)}">${escapeHtml(end.name)}</text></g>`,
    );
  }
  const names = curves.map((c) => c.name).join(', ');
  return (
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${id}-title ${id}-desc" xmlns="http://www.w3.org/2000/svg">` +
    `<title id="${id}-title">${escapeHtml(unit)} over ${decisions} decisions</title><desc id="${id}-desc">${escapeHtml(`Curves: ${names}. The figures stand in the tables below.`)}</desc>${parts.join('')}</svg>`
  );
}

function padded(low: number, high: number): [number, number] {
  const pad = Math.max((high - low) * 0.06, Math.abs(high) * 1e-3, 1e-9);
  return [low - pad, high + pad];
}

function ticks(low: number, high: number, count: number): number[] {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= raw)!;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, k) => (first + k) * step || 0);
}

const label = (v: number): string => (v === 0 ? '0' : Number(v.toPrecision(3)).toString().replace('-', '−'));
const f = (x: number): string => x.toFixed(1);
