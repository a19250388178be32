// What every section is built of: templates, data that is asked for and kept, and small pieces of markup.

import { useCallback, useEffect, useId, useRef, useState } from '../vendor/hooks.js';
import htm from '../vendor/htm.js';
import { cloneElement, h } from '../vendor/preact.js';
import { call } from './api.js';
import { ago, exact, localTime, percent, utcTime } from './format.js';

/** Templates: what is put in with ${…} is text, never markup. */
export const html = htm.bind(h);
export { useCallback, useEffect, useId, useRef, useState };

/**
 * Asks for a path and again when it changes; meanwhile what was there stays.
 * @param {string | null} path  null: nothing is asked for
 * @param {{ everyMs?: number }} [options]  asked anew so often while the page is looked at
 */
export function useData(path, { everyMs } = {}) {
  const [state, setState] = useState({ path: null, data: null, error: null, isLoading: path !== null });
  const latest = useRef(null);
  const load = useCallback(async () => {
    if (path === null) return;
    latest.current?.abort();
    const control = new AbortController();
    latest.current = control;
    setState((old) => ({ ...old, isLoading: true }));
    try {
      const data = await call('GET', path, undefined, control.signal);
      setState({ path, data, error: null, isLoading: false });
    } catch (error) {
      if (control.signal.aborted) return;
      setState((old) => ({ path, data: old.data, error, isLoading: false }));
    }
  }, [path]);
  useEffect(() => {
    load();
    return () => latest.current?.abort();
  }, [load]);
  useEffect(() => {
    if (everyMs === undefined || path === null) return undefined;
    const timer = setInterval(() => document.visibilityState === 'visible' && load(), everyMs);
    return () => clearInterval(timer);
  }, [load, everyMs]);
  return { ...state, reload: load };
}

/** A panel of the page with a heading. @param aside  controls beside the heading */
export function Panel({ title, note, aside, children, level = 2, id, quiet }) {
  const own = useId();
  const heading = id ?? own;
  return html`<section class=${quiet ? 'panel quiet' : 'panel'} aria-labelledby=${heading}>
    <header class="panel-head">
      <div>
        ${h(`h${level}`, { id: heading }, title)}
        ${note && html`<p class="note">${note}</p>`}
      </div>
      ${aside && html`<div class="panel-aside">${aside}</div>`}
    </header>
    ${children}
  </section>`;
}

/** What was asked for, or why it is not there; holds its place while it comes. */
export function Loaded({ of, children, height = 160, empty }) {
  const { data, error, isLoading, reload } = of;
  if (error !== null && data === null) return html`<${Failure} error=${error} retry=${reload} />`;
  if (data === null) {
    return html`<div class="placeholder" style=${{ minHeight: `${height}px` }} role="status">
      <span class="visually-hidden">Loading</span>
    </div>`;
  }
  return html`<div class=${isLoading ? 'loaded stale' : 'loaded'} aria-busy=${isLoading}>
    ${error !== null && html`<${Failure} error=${error} retry=${reload} />`}
    ${empty?.(data) || children(data)}
  </div>`;
}

export function Failure({ error, retry }) {
  return html`<div class="notice bad" role="alert">
    <p>
      ${error.message}
      ${error.code && html` <code>${error.code}</code>`}
      ${error.requestId && html` <span class="muted">request <code>${error.requestId}</code></span>`}
    </p>
    ${retry && html`<button type="button" class="small" onClick=${retry}>Try again</button>`}
  </div>`;
}

/** Says what to do where there is nothing yet. */
export function Empty({ title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;
}

export const Pill = ({ kind = 'plain', children }) => html`<span class=${`pill ${kind}`}>${children}</span>`;

/** A moment in local time; UTC when pointed at. */
export function Moment({ at, relative = false }) {
  if (at === null || at === undefined) return html`<span class="muted">never</span>`;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return html`<span>${String(at)}</span>`;
  const shown = relative ? ago(date) : localTime(date);
  const title = relative ? `${localTime(date)} · ${utcTime(date)}` : utcTime(date);
  return html`<time datetime=${date.toISOString()} title=${title}>${shown}</time>`;
}

/**
 * A table. A column is `{ name, cell(row), number?, grow?, hidden? }`; `hidden`: its name is not shown. On a small screen
 * each row is a card: the column that grows on top, the others below it, each with its name. Dense ones stay tables.
 * Roles are named since a browser takes them away with the layout of a table.
 * @param caption  said to those who do not see the heading above it
 */
export function Table({ caption, columns, rows, keyOf, onRow, rowLabel, dense }) {
  return html`<div class="table-wrap" tabindex="0" role="group" aria-label=${caption}>
    <table role="table" class=${dense ? 'dense' : 'cards'}>
      <caption class="visually-hidden">${caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          ${columns.map(
            ({ name, number, grow, hidden }) =>
              html`<th role="columnheader" scope="col" class=${`${number ? 'number' : ''} ${grow ? 'grow' : ''}`}>
                ${hidden ? html`<span class="visually-hidden">${name}</span>` : name}
              </th>`,
          )}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${rows.map(
          (row, i) => html`<tr
            role="row"
            key=${keyOf?.(row) ?? i}
            class=${onRow ? 'opens' : ''}
            onClick=${onRow && ((event) => !event.target.closest('a,button,summary') && onRow(row))}
          >
            ${columns.map(
              ({ cell, name, number, grow, hidden }, c) =>
                html`<td role="cell" data-name=${hidden ? undefined : name} class=${`${number ? 'number' : ''} ${grow ? 'grow' : ''} ${hidden ? 'unnamed' : ''}`}>
                  ${
                    c === 0 && onRow
                      ? html`<button type="button" class="link" onClick=${() => onRow(row)}>
                          ${cell(row)}<span class="visually-hidden">${rowLabel(row)}</span>
                        </button>`
                      : cell(row)
                  }
                </td>`,
            )}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** Choices beside each other, one of which holds. */
export function Segments({ label, options, value, onChange }) {
  return html`<div class="segments" role="group" aria-label=${label}>
    ${options.map(
      ({ id, name }) =>
        html`<button type="button" aria-pressed=${id === value ? 'true' : 'false'} onClick=${() => onChange(id)}>
          ${name}
        </button>`,
    )}
  </div>`;
}

/** Errors of a row of usage; more than one in fifty is said in red. */
export const ErrorShare = ({ of }) =>
  of.requests > 0
    ? html`<span class=${of.errors / of.requests > 0.02 ? 'bad' : ''} title=${`${exact(of.errors)} of ${exact(of.requests)}`}>${percent(of.errors / of.requests)}</span>`
    : '–';

/** A share as a bar; what it says is beside it as text. @param mark  a share that is marked on it; 0: none */
export const Bar = ({ share, tone = 'accent', mark = 0 }) =>
  html`<span class=${`bar ${tone}`} aria-hidden="true"
    ><span style=${{ width: within(share) }}></span>${mark > 0 && html`<i style=${{ left: within(mark) }}></i>`}</span
  >`;

const within = (share) => `${Math.max(0, Math.min(1, share || 0)) * 100}%`;

/** One input or select with its name, and what else is to be known of it. */
export function Field({ label, hint, children }) {
  const id = useId();
  const input = cloneElement(children, { id, ...(hint && { 'aria-describedby': `${id}-hint` }) });
  return html`<div class="field">
    <label class="field-label" for=${id}>${label}</label>
    ${input} ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

/** Text to be copied, with a button that does so. */
export function Copyable({ text, label = 'Copy', block = false }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    } catch {
      // Without a secure origin there is no clipboard: the text can be selected.
      setCopied(null);
    }
  };
  return html`<div class=${block ? 'copyable block' : 'copyable'}>
    <code tabindex="0">${text}</code>
    <button type="button" class="small" onClick=${copy}>
      ${copied === null ? 'Select it' : copied ? 'Copied' : label}
    </button>
    <span class="visually-hidden" role="status">${copied ? 'Copied' : ''}</span>
  </div>`;
}
