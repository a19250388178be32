// The audit log: who changed what.
import { call, withQuery } from '../parts/api.js';
import { Empty, Failure, html, Moment, Panel, Table, useCallback, useEffect, useState } from '../parts/view.js';

const PAGE = 100;

export function Audit({ place }) {
  const { team } = place.query;
  const [state, setState] = useState({ rows: [], next: null, error: null, isLoading: true });
  const load = useCallback(
    async (cursor) => {
      setState((old) => ({ ...old, isLoading: true, error: null }));
      try {
        const { entries, next } = await call('GET', withQuery('/v1/admin/audit', { team, cursor, limit: PAGE }));
        setState((old) => ({
          rows: cursor === null ? entries : [...old.rows, ...entries],
          next,
          error: null,
          isLoading: false,
        }));
      } catch (error) {
        setState((old) => ({ ...old, error, isLoading: false }));
      }
    },
    [team],
  );
  useEffect(() => {
    load(null);
  }, [load]);
  const { rows, next, error, isLoading } = state;
  return html`<${Panel} title="Changes, newest first" note="Of keys, teams, limits, policies and sessions. Rows are added and never changed.">
    ${error !== null && html`<${Failure} error=${error} retry=${() => load(next)} />`}
    ${
      rows.length === 0 && !isLoading && error === null
        ? html`<${Empty} title="Nothing was changed yet." />`
        : rows.length === 0
          ? html`<div class="placeholder tall" role="status"><span class="visually-hidden">Loading</span></div>`
          : html`<div class=${isLoading ? 'loaded stale' : 'loaded'} aria-busy=${isLoading}><${Table}
            caption="Changes, newest first"
            rows=${rows}
            keyOf=${(row) => row.ordinal}
            columns=${[
              { name: 'When', cell: (row) => html`<${Moment} at=${row.at} />` },
              {
                name: 'Who',
                cell: (row) =>
                  html`<span class="two-lines"><span class="ellipsis short" title=${row.actor}>${row.actor}</span><span class="muted">${row.actorKind}</span></span>`,
              },
              { name: 'What', cell: (row) => html`<code>${row.action}</code>` },
              {
                name: 'On',
                grow: true,
                cell: (row) => html`<${Subject} of=${row} />`,
              },
              {
                name: 'Team',
                cell: (row) => html`<span class="ellipsis short" title=${row.team ?? ''}>${row.team ?? '–'}</span>`,
              },
              { name: 'Details', cell: (row) => html`<${Details} of=${row.details} />` },
            ]}
          /></div>`
    }
    ${next !== null && html`<p class="more"><button type="button" disabled=${isLoading} onClick=${() => load(next)}>Older ones</button></p>`}
  <//>`;
}

/** What is told by an id is called by its name, too, where the row has it. */
function Subject({ of: { subject, details } }) {
  const name = typeof details?.name === 'string' && details.name !== subject ? details.name : null;
  return html`<span class="two-lines">
    <span class="ellipsis" title=${name ?? subject}>${name ?? subject}</span>
    ${name !== null && html`<span class="muted ellipsis" title=${subject}>${subject}</span>`}
  </span>`;
}

function Details({ of }) {
  const isEmpty = of === null || typeof of !== 'object' || Object.keys(of).length === 0;
  if (isEmpty) return html`<span class="muted">–</span>`;
  return html`<details class="json"><summary>show</summary><pre>${JSON.stringify(of, null, 2)}</pre></details>`;
}
