// Decisions: the newest requests, what was chosen for them, and each one opened.
import { call, withQuery } from '../parts/api.js';
import { Dialog } from '../parts/dialog.js';
import { duration, usdAlike } from '../parts/format.js';
import { change, hashOf, hrefOf } from '../parts/place.js';
import {
  Empty,
  Failure,
  html,
  Moment,
  Panel,
  Pill,
  Table,
  useCallback,
  useEffect,
  useRef,
  useState,
} from '../parts/view.js';
import { Decision } from './decision.js';

const PAGE = 50;
export const STATUS_KINDS = {
  ok: 'good',
  cached: 'info',
  error: 'bad',
  partial: 'bad',
  blocked: 'warn',
  cancelled: 'plain',
  none: 'plain',
};

export function Decisions({ place, period }) {
  const { model = '', status = '' } = place.query;
  const [, opened] = place.path;
  const pages = usePages(withQuery('/v1/usage/decisions', { ...period.query, model, limit: PAGE }), status);
  const open = (row) => {
    location.hash = hashOf({ path: ['decisions', row.id], query: place.query });
  };
  const close = () => {
    location.hash = hashOf({ path: ['decisions'], query: place.query });
  };
  const filter = (event) => {
    event.preventDefault();
    const fields = new FormData(event.target);
    change(place, { model: fields.get('model').trim(), status: fields.get('status') });
  };
  return html`
    <${Panel} title="Newest first" aside=${html`<form class="controls" onSubmit=${filter}>
      <label class="inline"><span>Model</span><input name="model" type="search" defaultValue=${model} placeholder="provider/model" spellcheck="false" /></label>
      <label class="inline"><span>Status</span><select name="status">
        <option value="">Any</option>
        ${Object.keys(STATUS_KINDS).map((one) => html`<option key=${one} value=${one} selected=${one === status}>${one}</option>`)}
      </select></label>
      <button type="submit" class="small">Filter</button>
    </form>`}>
      ${pages.error !== null && html`<${Failure} error=${pages.error} retry=${pages.more} />`}
      ${
        pages.rows.length === 0 && !pages.isLoading && pages.error === null
          ? html`<${Empty} title=${model || status ? 'No requests like that in this period.' : 'No requests in this period.'}>${
              model || status
                ? html`<p><button type="button" class="small" onClick=${() => change(place, { model: '', status: '' })}>Show all</button></p>`
                : html`<p>Choose a longer one above, or send one: the <a href=${hrefOf(place, 'overview')}>overview</a> says how.</p>`
            }<//>`
          : pages.rows.length === 0
            ? html`<div class="placeholder tall" role="status"><span class="visually-hidden">Loading</span></div>`
            : html`<div class=${pages.isLoading ? 'loaded stale' : 'loaded'} aria-busy=${pages.isLoading}><${List} rows=${pages.rows} onOpen=${open} /></div>`
      }
      <p class="more" role="status">
        ${pages.next !== null && html`<button type="button" onClick=${pages.more} disabled=${pages.isLoading}>Older ones</button>`}
        <span class="muted">${pages.seen > 0 ? `${pages.rows.length} shown${status === '' ? '' : ` of ${pages.seen} looked through`}` : ''}</span>
      </p>
    <//>
    ${opened && html`<${Dialog} key=${opened} title="Decision" side onClose=${close}><${Decision} id=${opened} /><//>`}
  `;
}

/** Codes of reasons in few words; the decision itself says them in a sentence. */
const SHORT_WHY = {
  cheapest_adequate: 'cheapest good enough',
  best_effort: 'likeliest to succeed',
  abstained: 'unfamiliar prompt',
  explored: 'to learn of it',
  only_candidate: 'the only one left',
  sticky: 'prompt cached there',
  pinned: 'conversation keeps it',
  fallback: 'the first one failed',
  escalated: 'a check failed',
  checked: 'passed its check',
  requested: 'named by the client',
};

/** Of what is sent to a provider and held there no model is asked: what it is of, in few words and in a sentence. */
const HELD = {
  files: ['file', 'A file at the provider: sent, looked at, fetched or deleted. No model is asked.'],
  batches: [
    'batch',
    'A batch at the provider: begun, looked at or cancelled. It is counted under budgets, and has no cost here.',
  ],
  responses: ['kept response', 'A response that the provider keeps: fetched, cancelled or deleted. No model is asked.'],
};

/** @returns null where a model was asked, which is `provider/model` */
export const heldKind = ({ surface, routed, model, executedModel }) =>
  routed || (executedModel ?? model).includes('/') || !Object.hasOwn(HELD, surface ?? '') ? null : HELD[surface];

function List({ rows, onOpen }) {
  const show = usdAlike(rows.flatMap(({ costUsd, baselineCostUsd }) => [costUsd, baselineCostUsd]));
  return html`<${Table}
    caption="Decisions, newest first"
    rows=${rows}
    keyOf=${(row) => row.id}
    onRow=${onOpen}
    rowLabel=${(row) => `: open the decision, ${row.executedModel ?? row.model}`}
    columns=${[
      { name: 'When', cell: (row) => html`<${Moment} at=${row.createdAt} relative />` },
      {
        name: 'Answered by',
        grow: true,
        cell: (row) => html`<span class="two-lines">
          <b class="ellipsis" title=${row.executedModel ?? row.model}>${row.executedModel ?? row.model}</b>
          <span class="muted ellipsis" title=${row.requestedModel}>${heldKind(row) !== null ? `a ${heldKind(row)[0]} there` : row.requestedModel === row.model ? 'as asked for' : `asked for ${row.requestedModel}`}</span>
        </span>`,
      },
      {
        name: 'Why',
        cell: (row) =>
          heldKind(row) !== null && row.reason === 'requested'
            ? html`<span title=${heldKind(row)[1]}>${heldKind(row)[0]}</span>`
            : html`<span title=${words(row.reason)}>${SHORT_WHY[row.reason] ?? words(row.reason)}</span>`,
      },
      {
        name: 'Team',
        cell: (row) =>
          html`<span class="two-lines"><span class="ellipsis" title=${row.team}>${row.team}</span><span class="muted ellipsis" title=${row.key ?? ''}>${row.key ?? 'no key'}</span></span>`,
      },
      { name: 'Status', cell: (row) => html`<${Pill} kind=${STATUS_KINDS[row.status] ?? 'plain'}>${row.status}<//>` },
      { name: 'Cost', number: true, cell: (row) => show(row.costUsd) },
      { name: 'Baseline', number: true, cell: (row) => show(row.baselineCostUsd) },
      { name: 'Took', number: true, cell: (row) => duration(row.totalMs) },
    ]}
  />`;
}

export const words = (code) => String(code).replaceAll('_', ' ');

/** Rows that are looked through at a time for those of a status, which the gateway cannot look for. */
const MOST_PAGES = 10;

/** Pages gathered below each other; begun anew when the path changes. @param status  '' for any */
function usePages(path, status) {
  const [state, setState] = useState({ rows: [], seen: 0, next: null, error: null, isLoading: true });
  const latest = useRef(null);
  const load = useCallback(
    async (first) => {
      const turn = {};
      latest.current = turn;
      setState((old) => ({ ...old, isLoading: true, error: null }));
      const found = [];
      let seen = 0;
      let cursor = first;
      try {
        for (let page = 0; page < MOST_PAGES; page++) {
          const { decisions, next } = await call('GET', withQuery(path, { cursor }));
          if (latest.current !== turn) return;
          seen += decisions.length;
          found.push(...decisions.filter((row) => status === '' || row.status === status));
          cursor = next;
          if (next === null || found.length >= PAGE || (status === '' && decisions.length > 0)) break;
        }
        setState((old) => ({
          rows: first === null ? found : [...old.rows, ...found],
          seen: first === null ? seen : old.seen + seen,
          next: cursor,
          error: null,
          isLoading: false,
        }));
      } catch (error) {
        if (latest.current === turn) setState((old) => ({ ...old, error, isLoading: false }));
      }
    },
    [path, status],
  );
  useEffect(() => {
    load(null);
    return () => {
      latest.current = null;
    };
  }, [load]);
  return { ...state, more: () => load(state.next) };
}
