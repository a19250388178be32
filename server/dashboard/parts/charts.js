// Charts that are no series of time: a reliability diagram and a cost–quality curve, as SVG that the style sheet colours.
import { exact, percent, points, usd } from './format.js';
import { html, Table, useEffect, useRef, useState } from './view.js';

const SIZE = 240;
const EDGE = { left: 44, right: 10, top: 10, bottom: 34 };

/** Judged quality against what had been predicted; on the diagonal a forecast means what it says. */
export function Reliability({ title, bins }) {
  const shown = bins.filter(({ count }) => count > 0);
  const most = Math.max(1, ...shown.map(({ count }) => count));
  const x = (p) => EDGE.left + p * (SIZE - EDGE.left - EDGE.right);
  const y = (q) => SIZE - EDGE.bottom - q * (SIZE - EDGE.top - EDGE.bottom);
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  return html`<figure class="chart reliability">
    <svg viewBox=${`0 0 ${SIZE} ${SIZE}`} role="img" aria-label=${`${title}. The table below has its numbers.`}>
      ${ticks.map(
        (tick) => html`<g key=${tick}>
          <line class="grid" x1=${x(0)} x2=${x(1)} y1=${y(tick)} y2=${y(tick)} />
          <text class="tick" x=${EDGE.left - 6} y=${y(tick) + 3.5} text-anchor="end">${tick}</text>
          <text class="tick" x=${x(tick)} y=${SIZE - EDGE.bottom + 15} text-anchor="middle">${tick}</text>
        </g>`,
      )}
      <line class="ideal" x1=${x(0)} y1=${y(0)} x2=${x(1)} y2=${y(1)} />
      <polyline class="observed" points=${shown.map((bin) => `${x(bin.predicted)},${y(bin.observed)}`).join(' ')} />
      ${shown.map(
        (bin) => html`<circle
          key=${bin.predicted}
          class="bin"
          cx=${x(bin.predicted)}
          cy=${y(bin.observed)}
          r=${2.5 + 5.5 * Math.sqrt(bin.count / most)}
        >
          <title>
            predicted ${bin.predicted.toFixed(2)}, judged ${bin.observed.toFixed(2)}, ${exact(bin.count)} answers
          </title>
        </circle>`,
      )}
      <text class="axis" x=${(x(0) + x(1)) / 2} y=${SIZE - 4} text-anchor="middle">predicted</text>
      <text class="axis" x="10" y=${(y(0) + y(1)) / 2} text-anchor="middle" transform=${`rotate(-90 10 ${(y(0) + y(1)) / 2})`}>
        judged
      </text>
    </svg>
    <details class="twin">
      <summary>Table of “${title}”</summary>
      <${Table}
        dense
        caption=${title}
        columns=${[
          { name: 'Predicted', number: true, cell: (bin) => bin.predicted.toFixed(3) },
          { name: 'Judged', number: true, cell: (bin) => bin.observed.toFixed(3) },
          { name: 'Answers', number: true, cell: (bin) => exact(bin.count) },
        ]}
        rows=${shown}
      />
    </details>
  </figure>`;
}

const ROOM = { left: 58, right: 18, top: 28, bottom: 42 };

/** Mean cost of a request against mean predicted quality, a point for each setting. @param chosen  the point that is looked at */
export function Curve({ points: all, current, chosen, onChoose }) {
  const place = useRef(null);
  const width = useWidth(place, 640);
  const WIDE = { ...ROOM, width, height: Math.max(230, Math.min(340, width / 2)) };
  const xs = [...all.map((p) => p.costUsd), current.costUsd];
  const ys = [...all.map((p) => p.quality), current.quality];
  const [x0, x1] = padded(0, Math.max(...xs) || 1e-6, false);
  const [y0, y1] = padded(Math.min(...ys), Math.max(...ys), true);
  const x = (cost) => WIDE.left + ((cost - x0) / (x1 - x0)) * (WIDE.width - WIDE.left - WIDE.right);
  const y = (quality) =>
    WIDE.height - WIDE.bottom - ((quality - y0) / (y1 - y0)) * (WIDE.height - WIDE.top - WIDE.bottom);
  const title = 'Predicted quality and cost of a request at each setting of the dial';
  return html`<figure class="chart">
    <svg ref=${place} class="curve" style=${{ height: `${WIDE.height}px` }} viewBox=${`0 0 ${WIDE.width} ${WIDE.height}`} role="img" aria-label=${`${title}. The table below has its numbers.`}>
      ${spread(y0, y1).map(
        (tick) => html`<g key=${tick}>
          <line class="grid" x1=${WIDE.left} x2=${WIDE.width - WIDE.right} y1=${y(tick)} y2=${y(tick)} />
          <text class="tick" x=${WIDE.left - 8} y=${y(tick) + 4} text-anchor="end">${percent(tick, y1 - y0 < 0.04 ? 1 : 0)}</text>
        </g>`,
      )}
      ${spread(x0, x1).map(
        (tick) =>
          html`<text key=${tick} class="tick" x=${x(tick)} y=${WIDE.height - WIDE.bottom + 17} text-anchor="middle">${usd(tick)}</text>`,
      )}
      <polyline class="line" points=${[...all]
        .sort((a, b) => a.costUsd - b.costUsd)
        .map((p) => `${x(p.costUsd)},${y(p.quality)}`)
        .join(' ')} />
      ${all.map(
        (
          p,
        ) => html`<circle key=${p.dial} class="setting" cx=${x(p.costUsd)} cy=${y(p.quality)} r="3.5" onClick=${() => onChoose(p.dial)}>
          <title>Dial ${p.dial}: ${usd(p.costUsd)}, ${percent(p.quality)}</title>
        </circle>`,
      )}
      <line class="guide" x1=${x(chosen.costUsd)} x2=${x(chosen.costUsd)} y1=${y(chosen.quality)} y2=${WIDE.height - WIDE.bottom} />
      <line class="guide" x1=${WIDE.left} x2=${x(chosen.costUsd)} y1=${y(chosen.quality)} y2=${y(chosen.quality)} />
      <circle class="now" cx=${x(current.costUsd)} cy=${y(current.quality)} r="8" />
      <circle class="chosen" cx=${x(chosen.costUsd)} cy=${y(chosen.quality)} r="6" />
      <text class="axis" x=${(WIDE.left + WIDE.width - WIDE.right) / 2} y=${WIDE.height - 6} text-anchor="middle">
        mean predicted cost of a request
      </text>
      <text class="axis" x="2" y="11">mean predicted quality</text>
    </svg>
    <p class="legend">
      <span class="legend-item"><i class="ring now"></i>in force</span>
      <span class="legend-item"><i class="ring chosen"></i>looked at</span>
      <span class="muted">up: better answers · left: cheaper</span>
    </p>
    <details class="twin">
      <summary>Table of the settings</summary>
      <${Table}
        dense
        caption=${title}
        columns=${[
          { name: 'Dial', number: true, cell: (p) => p.dial },
          { name: 'Cost of a request', number: true, cell: (p) => usd(p.costUsd) },
          { name: 'Predicted quality', number: true, cell: (p) => percent(p.quality) },
          { name: 'Against what is in force', number: true, cell: (p) => points(p.quality - current.quality) },
        ]}
        rows=${all}
      />
    </details>
  </figure>`;
}

function padded(low, high, isShare) {
  const room = Math.max((high - low) * 0.12, isShare ? 0.005 : high * 0.06);
  return isShare ? [Math.max(0, low - room), Math.min(1, high + room)] : [0, high + room];
}

/** Round numbers between two, five or so. */
function spread(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((s) => s >= rough);
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step)
    ticks.push(Number(tick.toPrecision(12)));
  return ticks;
}

/** Pixels across, so that text in a drawing is as large as beside it. */
function useWidth(place, first) {
  const [width, setWidth] = useState(first);
  useEffect(() => {
    const watch = new ResizeObserver(([{ contentRect }]) => contentRect.width > 0 && setWidth(contentRect.width));
    watch.observe(place.current);
    return () => watch.disconnect();
  }, []);
  return width;
}
