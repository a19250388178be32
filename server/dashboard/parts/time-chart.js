// A chart over time, drawn by uPlot, with a legend that reads out what is pointed at and a table that says the same.
import uPlot from '../vendor/uplot.js';
import { localTime } from './format.js';
import { html, Table, useEffect, useRef, useState } from './view.js';

/** Told when the theme is switched by hand; the system's own switch is a media query. */
export const themes = new EventTarget();

/** A colour of the style sheet as the canvas wants it. */
export function colour(name, within = document.body) {
  const probe = document.createElement('span');
  probe.style.color = `var(--${name})`;
  within.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
/** Days are counted in UTC: here, too, whoever looks at them. */
const UTC_DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', timeZone: 'UTC' });
const UTC_DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeZone: 'UTC' });

/** Clock times within days; where one begins, the day. */
function tickText(seconds, step) {
  const date = new Date(seconds * 1000);
  if (step === 'day') return UTC_DATE.format(date);
  return date.getHours() === 0 && date.getMinutes() === 0 ? DATE.format(date) : CLOCK.format(date);
}

/** The hour or day that runs is not over: its sums are to grow yet. */
function momentText(at, step, now = Date.now()) {
  const date = new Date(at);
  const ends = date.getTime() + SPANS[step] * 1000;
  return `${step === 'hour' ? localTime(date) : `${UTC_DAY.format(date)} UTC`}${ends > now ? ', so far' : ''}`;
}

/** In seconds. */
const SPANS = { hour: 3600, day: 86_400 };

/** Whole dollars where all of an axis are. */
function tickTexts(ticks, format) {
  const texts = ticks.map((tick) => format(tick));
  const areWhole = texts.every((text) => text.endsWith('.00') || !text.includes('.'));
  return areWhole ? texts.map((text) => text.replace(/\.00$/, '')) : texts;
}

/**
 * @param at      n moments, ISO 8601, in order
 * @param series  `{ name, values (n numbers or nulls), tone, dash?, fill? }`; stacked: drawn upon each other as bars
 * @param format  number → text with its unit
 * @param total   what the legend says of a series while nothing is pointed at: values → text
 * @param idle    what that is
 */
export function TimeChart({ title, at, step, series, format, total, idle = 'In all', stacked = false, height = 220 }) {
  const place = useRef(null);
  const [pointed, setPointed] = useState(null);
  const [look, setLook] = useState(0);

  useEffect(() => {
    const again = () => setLook((n) => n + 1);
    const media = matchMedia('(prefers-color-scheme: dark)');
    themes.addEventListener('change', again);
    media.addEventListener('change', again);
    return () => {
      themes.removeEventListener('change', again);
      media.removeEventListener('change', again);
    };
  }, []);

  useEffect(() => {
    const element = place.current;
    const plot = plotIn(element, { at, step, series, format, stacked, height, onPoint: setPointed });
    const watch = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [at, series, format, stacked, height, look]);

  const isPointed = pointed !== null && pointed < at.length;
  return html`<figure class="chart">
    <div class="legend" aria-hidden="true">
      <span class="legend-when">${isPointed ? momentText(at[pointed], step) : idle}</span>
      ${series.map(
        ({ name, values, tone, dash }) =>
          html`<span class="legend-item" key=${name}
            ><i class=${dash ? 'swatch dashed' : 'swatch'} style=${{ color: `var(--${tone})` }}></i
            ><span class="legend-name">${name}</span>
            <b>${isPointed ? format(values[pointed]) : total(values)}</b></span
          >`,
      )}
    </div>
    <div class="plot" ref=${place} style=${{ height: `${height}px` }} role="img" aria-label=${`${title}. The table below has its numbers.`}></div>
    <details class="twin">
      <summary>Table of “${title}”</summary>
      <${Table}
        dense
        caption=${title}
        columns=${[
          { name: step === 'hour' ? 'Hour' : 'Day', cell: (i) => momentText(at[i], step) },
          ...series.map(({ name, values }) => ({ name, number: true, cell: (i) => format(values[i]) })),
        ]}
        rows=${at.map((_, i) => at.length - 1 - i)}
      />
    </details>
  </figure>`;
}

function plotIn(element, { at, step, series, format, stacked, height, onPoint }) {
  const muted = colour('muted', element);
  const line = colour('line', element);
  const surface = colour('surface', element);
  const x = at.map((moment) => Date.parse(moment) / 1000);
  const span = SPANS[step];
  // The topmost is drawn first, and each one below it over that.
  const shown = (stacked ? stackedUp(series) : series).map(({ values, tone, dash, fill }) => {
    const stroke = colour(tone, element);
    if (stacked) {
      return {
        values,
        options: {
          stroke: surface,
          fill: stroke,
          width: 1,
          paths: uPlot.paths.bars({ size: [0.74, 44, 1], align: 0 }),
          points: { show: false },
        },
      };
    }
    return {
      values,
      options: {
        stroke,
        width: 2,
        ...(dash && { dash: [5, 5] }),
        ...(fill && { fill: translucent(stroke) }),
        points: { show: x.length === 1, size: 6, fill: stroke },
        spanGaps: false,
      },
    };
  });
  const axis = { stroke: muted, font: '11px system-ui, sans-serif', grid: { show: false }, ticks: { show: false } };
  const pad = x.length < 2 ? span : stacked ? span / 2 : 0;
  return new uPlot(
    {
      width: element.clientWidth,
      height,
      tzDate: (seconds) =>
        step === 'day' ? uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') : new Date(seconds * 1000),
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: stacked
          ? { show: false }
          : { size: 7, width: 2, stroke: (u, i) => u.series[i].stroke(), fill: surface },
      },
      padding: [10, 22, 0, 0],
      scales: {
        // Of a single point uPlot makes years.
        x: { time: true, range: (_, min, max) => (x.length === 1 ? [x[0] - pad, x[0] + pad] : [min - pad, max + pad]) },
        y: { range: (_, min, max) => [Math.min(0, min ?? 0), (max ?? 0) > 0 ? max * 1.08 : 1] },
      },
      axes: [
        {
          ...axis,
          space: 70,
          size: 32,
          gap: 9,
          values: (_, ticks) => ticks.map((tick) => tickText(tick, step)),
          incrs: step === 'hour' ? HOURS : DAYS,
        },
        {
          ...axis,
          size: 62,
          space: 42,
          grid: { show: true, stroke: line, width: 1 },
          values: (_, ticks) => tickTexts(ticks, format),
        },
      ],
      series: [{}, ...shown.map(({ options }) => options)],
      hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] },
    },
    [x, ...shown.map(({ values }) => values)],
    element,
  );
}

const HOURS = [1, 2, 3, 6, 12, 24, 48].map((hours) => hours * 3600);
const DAYS = [1, 2, 3, 7, 14, 28, 56, 112, 365].map((days) => days * 86_400);

/** Each series upon those after it, the topmost first. */
function stackedUp(series) {
  const below = series[0]?.values.map(() => 0) ?? [];
  return series
    .map((one) => {
      one.values.forEach((value, i) => {
        below[i] += value ?? 0;
      });
      return { ...one, values: [...below] };
    })
    .reverse();
}

const translucent = (rgb) =>
  rgb.replace(/^rgba?\(([^)]+)\)$/, (_, parts) => `rgba(${parts.split(',').slice(0, 3).join(',')}, 0.1)`);
