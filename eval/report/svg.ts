/** The two pictures of the report as plain SVG: readable without script, without colour, by a screen reader too. */
import type { CurvePoint } from '../metrics/curve-point.ts';
import {
  type Bounds,
  type CurveEntry,
  type Estimate,
  type Evaluation,
  ownPoints,
  type RouterResult,
} from '../result.ts';
import { interval, percent, signedPercent, usdPerThousand } from './format.ts';
import { marked } from './notes.ts';
import { alongLines, type Frame, placeLabel, type Spot } from './place-label.ts';

/** Dash patterns and markers tell the lines apart where colour does not. `s0` … are colours of the style sheet. */
const STYLES = [
  { dash: '', marker: 'circle' },
  { dash: '9 3', marker: 'square' },
  { dash: '2 3', marker: 'triangle' },
  { dash: '12 3 2 3', marker: 'diamond' },
  { dash: '5 5', marker: 'cross' },
  { dash: '1 4', marker: 'circle' },
  { dash: '14 4', marker: 'square' },
  { dash: '6 2 1 2 1 2', marker: 'triangle' },
] as const;
export type Marker = (typeof STYLES)[number]['marker'];

interface Box {
  readonly width: number;
  readonly height: number;
}

/**
 * Cost-quality curves over a logarithmic cost axis: lines for curves, single marks for routers with one point,
 * small dots for the single models. Labels stand at the line ends, moved apart where they would touch.
 */
export function curveChart(e: Evaluation, { width, height }: Box, id: string): string {
  const margin = { left: 46, right: width < 500 ? 122 : 130, top: 14, bottom: 44 };
  const points = [...e.routers.flatMap((r) => r.curve), ...e.singleModels];
  const costs = points.map((p) => p.costUsd).filter((c) => c > 0);
  if (costs.length === 0) return '<p>No curve: nothing here costs anything.</p>';
  const [lowCost, highCost] = [Math.min(...costs) / 1.15, Math.max(...costs) * 1.15];
  const bounds = e.routers
    .filter((r) => r.kind === 'learned')
    .flatMap((r) => r.curve.flatMap(({ interval }) => [interval?.quality.low, interval?.quality.high]));
  const [lowQuality, highQuality] = padded([
    ...points.map((p) => p.quality),
    ...bounds.filter((b) => b !== null && b !== undefined),
  ]);
  const x = (cost: number) =>
    margin.left +
    (Math.log(Math.max(cost, lowCost) / lowCost) / Math.log(highCost / lowCost)) * (width - margin.left - margin.right);
  const y = (quality: number) =>
    margin.top + ((highQuality - quality) / (highQuality - lowQuality)) * (height - margin.top - margin.bottom);

  const parts: string[] = [];
  for (const tick of linearTicks(lowQuality, highQuality, 6)) {
    parts.push(
      `<line class="grid" x1="${margin.left}" x2="${width - margin.right}" y1="${f(y(tick))}" y2="${f(y(tick))}"/>`,
      `<text class="tick" x="${margin.left - 6}" y="${f(y(tick) + 4)}" text-anchor="end">${percent(tick, 0)}</text>`,
    );
  }
  for (const tick of logTicks(lowCost, highCost, width < 500 ? 4 : 8)) {
    parts.push(
      `<line class="grid" x1="${f(x(tick))}" x2="${f(x(tick))}" y1="${margin.top}" y2="${height - margin.bottom}"/>`,
      `<text class="tick" x="${f(x(tick))}" y="${height - margin.bottom + 16}" text-anchor="middle">${usdPerThousand(tick).replace(/\.0+$|(\.\d*?)0+$/, '$1')}</text>`,
    );
  }
  parts.push(
    `<text class="axis" x="${margin.left + (width - margin.left - margin.right) / 2}" y="${height - 8}" text-anchor="middle">USD per 1 000 prompts (log)</text>`,
    `<text class="axis" x="12" y="${margin.top + (height - margin.top - margin.bottom) / 2}" text-anchor="middle" transform="rotate(-90 12 ${margin.top + (height - margin.top - margin.bottom) / 2})">quality, %</text>`,
  );
  for (const m of e.singleModels) {
    parts.push(
      `<circle class="model" cx="${f(x(m.costUsd))}" cy="${f(y(m.quality))}" r="2.5"/>`,
      hit(
        x(m.costUsd),
        y(m.quality),
        `${marked(e, m.model)}: ${percent(m.quality)} % at ${usdPerThousand(m.costUsd)} per 1 000 prompts`,
      ),
    );
  }
  const labels: { name: string; x: number; y: number; style: string }[] = [];
  const frame = { left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom };
  const at = ({ costUsd, quality }: CurvePoint): Spot => ({ x: x(costUsd), y: y(quality) });
  const drawn = [
    ...e.singleModels.map(at),
    ...e.routers.flatMap((r) => (ownPoints(r).length > 1 ? alongLines(r.curve.map(at)) : ownPoints(r).map(at))),
  ];
  const taken: Frame[] = [];
  const targets: string[] = [];
  for (const r of e.routers) {
    const style = styleOf(e, r);
    const last = r.curve.at(-1)!;
    const own = ownPoints(r);
    const title = `<title>${escapeHtml(r.name)}: AIQ ${percent(r.aiq.value, 2)} %</title>`;
    const path = r.curve.map((p) => `${f(x(p.costUsd))},${f(y(p.quality))}`).join(' ');
    const line =
      own.length > 1
        ? `<polyline class="line" points="${path}"${style.dash ? ` stroke-dasharray="${style.dash}"` : ''}/>`
        : '';
    const band = own.length > 1 && r.kind === 'learned' ? bandOf(own, x, y) : '';
    const hits = own.map((p) => hit(x(p.costUsd), y(p.quality), pointText(e, r, p)));
    const every = Math.max(1, Math.floor(own.length / 5));
    const marks = own
      .filter((_, i) => i === own.length - 1 || i % every === 0)
      .map((p) => markerAt(style.marker, x(p.costUsd), y(p.quality)));
    parts.push(`<g class="${style.className}">${title}${band}${line}${marks.join('')}</g>`);
    targets.push(...hits);
    if (own.length === 1 && x(last.costUsd) < width - margin.right - 100) {
      // Beside the one point of a router without settings: a label at the margin would need a line across the picture.
      const spot = placeLabel(at(last), r.name, drawn, taken, frame);
      taken.push(spot.box);
      parts.push(
        `<g class="${style.className}"><text class="label" x="${f(spot.x)}" y="${f(spot.y)}">${escapeHtml(r.name)}</text></g>`,
      );
    } else labels.push({ name: r.name, x: x(last.costUsd), y: y(last.quality), style: style.className });
  }
  const edge = width - margin.right + 14;
  for (const label of spread(labels, 14, margin.top + 6, height - margin.bottom)) {
    parts.push(
      `<g class="${label.style}"><line class="leader" x1="${f(label.x + 5)}" y1="${f(label.y)}" x2="${edge - 3}" y2="${f(label.at - 4)}"/>` +
        `<text class="label" x="${edge}" y="${f(label.at)}">${escapeHtml(shortened(label.name))}</text></g>`,
    );
  }
  return svg(
    { width, height },
    id,
    'Cost-quality curves',
    `Quality against cost of a prompt for ${e.routers.length} routers on ${e.dataset}. The figures stand in the tables below.`,
    [...parts, ...targets],
  );
}

/** Where the curve may lie: the 95 % interval of quality at each operating point. */
function bandOf(points: readonly CurveEntry[], x: (cost: number) => number, y: (quality: number) => number): string {
  const known = points.flatMap(({ costUsd, interval }) =>
    interval && interval.quality.low !== null && interval.quality.high !== null
      ? [{ x: f(x(costUsd)), low: f(y(interval.quality.low)), high: f(y(interval.quality.high)) }]
      : [],
  );
  if (known.length < 2) return '';
  const there = known.map((p) => `${p.x},${p.high}`);
  const back = known.reverse().map((p) => `${p.x},${p.low}`);
  return `<polygon class="band" points="${[...there, ...back].join(' ')}"/>`;
}

/** A mark large enough for a finger, unseen. */
const hit = (x: number, y: number, text: string): string =>
  `<circle class="hit" cx="${f(x)}" cy="${f(y)}" r="6" data-tip="${escapeHtml(text)}"><title>${escapeHtml(text)}</title></circle>`;

/** The setting behind a point, what it cost and reached, and against the baseline. */
function pointText(e: Evaluation, r: RouterResult, p: CurveEntry): string {
  const bounds = (b: Bounds | undefined, show: (v: number | null) => string) => (b ? ` ${interval(b, show)}` : '');
  const share = e.baseline.costUsd > 0 ? `, ${percent(p.costUsd / e.baseline.costUsd)} % of the baseline’s cost` : '';
  const kept = e.baseline.quality > 0 ? `, ${percent(p.quality / e.baseline.quality)} % of its quality` : '';
  return (
    `${r.name}: quality ${percent(p.quality)} %${bounds(p.interval?.quality, percent)} at ` +
    `${usdPerThousand(p.costUsd)}${bounds(p.interval?.costUsd, usdPerThousand)} per 1 000 prompts${share}${kept}. ${p.setting}`
  );
}

/** Lead over the zero router with its interval, one row a router. */
export function leadChart(e: Evaluation, width: number, id: string): string {
  const rows = e.routers
    .filter((r) => r.kind !== 'hindsight' && r.name !== 'zero' && r.aiqMinusZero.value !== null)
    .map((r) => ({ name: r.name, lead: r.aiqMinusZero, ...styleOf(e, r) }));
  return intervalChart(rows, width, id);
}

export interface LeadRow {
  readonly name: string;
  readonly lead: Estimate;
  /** `series` with a colour of the style sheet, or with `ref` for grey. */
  readonly className: string;
  readonly marker: Marker;
}

/** One line per row: AIQ minus the zero router's with its interval. Rows without a value are left out. */
export function intervalChart(all: readonly LeadRow[], width: number, id: string): string {
  const rows = all.filter(({ lead }) => lead.value !== null);
  if (rows.length === 0) return '';
  const rowHeight = 24;
  const margin = { left: 118, right: 16, top: 8, bottom: 40 };
  const height = margin.top + rows.length * rowHeight + margin.bottom;
  const ends = rows.flatMap(({ lead: { value, low, high } }) => [value!, low ?? value!, high ?? value!]);
  const [low, high] = padded([0, ...ends]);
  const x = (v: number) => margin.left + ((v - low) / (high - low)) * (width - margin.left - margin.right);
  const bottom = height - margin.bottom;
  const parts = linearTicks(low, high, width < 500 ? 4 : 8).flatMap((tick) => [
    `<line class="grid" x1="${f(x(tick))}" x2="${f(x(tick))}" y1="${margin.top}" y2="${bottom}"/>`,
    `<text class="tick" x="${f(x(tick))}" y="${bottom + 16}" text-anchor="middle">${signedPercent(tick, high - low < 0.06 ? 1 : 0)}</text>`,
  ]);
  parts.push(
    `<line class="zero" x1="${f(x(0))}" x2="${f(x(0))}" y1="${margin.top}" y2="${bottom}"/>`,
    `<text class="axis" x="${(margin.left + width - margin.right) / 2}" y="${height - 6}" text-anchor="middle">AIQ minus the zero router’s, % (95 % interval)</text>`,
  );
  rows.forEach((r, k) => {
    const cy = margin.top + (k + 0.5) * rowHeight;
    const { value, low: from, high: to } = r.lead;
    parts.push(
      `<g class="${r.className}"><title>${escapeHtml(r.name)}: ${signedPercent(value, 2)} % [${signedPercent(from, 2)}, ${signedPercent(to, 2)}]</title>` +
        `<text class="label" x="${margin.left - 8}" y="${cy + 4}" text-anchor="end">${escapeHtml(shortened(r.name))}</text>` +
        (from !== null && to !== null
          ? `<line class="whisker" x1="${f(x(from))}" x2="${f(x(to))}" y1="${cy}" y2="${cy}"/>`
          : '') +
        `${markerAt(r.marker, x(value!), cy)}</g>`,
    );
  });
  return svg(
    { width, height },
    id,
    'Lead over the zero router',
    'AIQ of each router minus that of the best random mix of single models, with 95 % intervals.',
    parts,
  );
}

export const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

function svg({ width, height }: Box, id: string, title: string, description: string, parts: readonly string[]): string {
  return (
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${id}-title ${id}-desc" xmlns="http://www.w3.org/2000/svg">` +
    `<title id="${id}-title">${escapeHtml(title)}</title><desc id="${id}-desc">${escapeHtml(description)}</desc>${parts.join('')}</svg>`
  );
}

interface Style {
  readonly className: string;
  readonly dash: string;
  readonly marker: Marker;
}

/** Reference rows are grey; each other curve has a colour, a dash pattern and a marker of its own. */
function styleOf(e: Evaluation, r: RouterResult): Style {
  if (r.name === 'zero') return { className: 'series ref', dash: '6 4', marker: 'square' };
  if (r.kind === 'hindsight') return { className: 'series ref', dash: '1 4', marker: 'diamond' };
  if (ownPoints(r).length === 1) return { className: 'series ref', dash: '', marker: 'cross' };
  const coloured = e.routers.filter((o) => o.name !== 'zero' && o.kind !== 'hindsight' && ownPoints(o).length > 1);
  const k = coloured.indexOf(r) % STYLES.length;
  const style = STYLES[k]!;
  return r.kind === 'learned'
    ? { ...style, className: `series s${k} learned`, dash: '' }
    : { ...style, className: `series s${k}` };
}

function markerAt(marker: Marker, x: number, y: number): string {
  const r = 3.6;
  switch (marker) {
    case 'circle':
      return `<circle class="mark" cx="${f(x)}" cy="${f(y)}" r="${r}"/>`;
    case 'square':
      return `<rect class="mark" x="${f(x - r)}" y="${f(y - r)}" width="${2 * r}" height="${2 * r}"/>`;
    case 'triangle':
      return `<path class="mark" d="M${f(x)} ${f(y - r - 1)}l${r + 1} ${2 * r}h${-2 * (r + 1)}z"/>`;
    case 'diamond':
      return `<path class="mark" d="M${f(x)} ${f(y - r - 1)}l${r + 1} ${r + 1}l${-r - 1} ${r + 1}l${-r - 1} ${-r - 1}z"/>`;
    case 'cross':
      return `<path class="mark stroke" d="M${f(x - r)} ${f(y - r)}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}"/>`;
  }
}

/** Labels pushed apart to `gap`, in the order of their points, inside [top, bottom]. */
function spread<L extends { y: number }>(labels: readonly L[], gap: number, top: number, bottom: number) {
  const sorted = [...labels].sort((a, b) => a.y - b.y).map((label) => ({ ...label, at: label.y + 4 }));
  for (let k = 0; k < sorted.length; k++) {
    sorted[k]!.at = Math.max(sorted[k]!.at, k === 0 ? top : sorted[k - 1]!.at + gap);
  }
  for (let k = sorted.length - 1; k >= 0; k--) {
    sorted[k]!.at = Math.min(sorted[k]!.at, k === sorted.length - 1 ? bottom : sorted[k + 1]!.at - gap);
  }
  return sorted;
}

/** The last folder of a path and at most 16 characters: what fits beside a line. */
function shortened(name: string): string {
  const last = name.includes('/') ? name.slice(name.lastIndexOf('/', name.length - 2) + 1) : name;
  return last.length <= 16 ? last : `${last.slice(0, 15)}…`;
}

function padded(values: readonly number[]): [number, number] {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const pad = Math.max(0.004, (high - low) * 0.05);
  return [low - pad, high + pad];
}

function linearTicks(low: number, high: number, count: number): number[] {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= raw)!;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, k) => (first + k) * step);
}

function logTicks(low: number, high: number, count: number): number[] {
  for (const factors of [[1, 2, 5], [1, 3], [1]]) {
    const ticks: number[] = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const k of factors) {
        const tick = k * 10 ** power;
        if (tick >= low && tick <= high) ticks.push(tick);
      }
    }
    if (ticks.length <= count) return ticks;
  }
  return [low, high];
}

const f = (x: number): string => x.toFixed(1);
