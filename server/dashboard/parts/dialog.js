// Dialogs on the browser's own <dialog>: it keeps the focus inside, closes with Escape and gives the focus back.
import { Failure, html, useEffect, useId, useRef, useState } from './view.js';

/** @param side  a sheet along the edge rather than a box in the middle */
export function Dialog({ title, onClose, side = false, children }) {
  const element = useRef(null);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current;
    const opener = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      opener?.focus?.();
    };
  }, []);
  return html`<dialog
    ref=${element}
    class=${side ? 'sheet' : ''}
    aria-labelledby=${heading}
    onCancel=${(event) => {
      event.preventDefault();
      onClose();
    }}
    onClick=${(event) => event.target === element.current && onClose()}
  >
    <div class="dialog-body">
      <header class="dialog-head">
        <h2 id=${heading}>${title}</h2>
        <button type="button" class="icon" aria-label="Close" onClick=${onClose}>✕</button>
      </header>
      ${children}
    </div>
  </dialog>`;
}

/**
 * A form in a dialog. `onSubmit` gets the fields by name; what it throws is shown, and the dialog stays.
 * @param danger  it takes something away
 */
export function FormDialog({ title, submit, danger = false, onSubmit, onClose, children }) {
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const send = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await onSubmit(Object.fromEntries(new FormData(event.target)));
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form class="stack" onSubmit=${send}>
      ${children} ${error && html`<${Failure} error=${error} />`}
      <footer class="dialog-foot">
        <button type="button" onClick=${onClose}>Cancel</button>
        <button type="submit" class=${danger ? 'danger' : 'primary'} disabled=${isBusy}>${submit}</button>
      </footer>
    </form>
  <//>`;
}
