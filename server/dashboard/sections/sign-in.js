// Signing in: with a key, or at the identity provider where one is set up.
import { call } from '../parts/api.js';
import { Failure, Field, html, Loaded, useData, useState } from '../parts/view.js';

export function SignIn({ onSignedIn }) {
  const methods = useData('/auth/methods');
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const send = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await call('POST', '/auth/key', { key: new FormData(event.target).get('key') });
      await onSignedIn();
    } catch (caught) {
      setError(caught);
    }
    setBusy(false);
  };
  return html`<main class="sign-in">
    <div class="sign-in-box">
      <p class="brand"><span class="mark" aria-hidden="true"></span>Pointsman</p>
      <h1>Sign in</h1>
      <${Loaded} of=${methods} height=${120}>
        ${(told) => html`
          ${
            told.oidc &&
            html`<p><a class="button primary wide" href="/auth/login">Sign in with ${told.oidc.name ?? told.oidc.issuer ?? 'your company'}</a></p>
              <p class="or"><span>or with a key</span></p>`
          }
          <form class="stack" onSubmit=${send}>
            <${Field} label="Key" hint="A key with the role that you want to look around as. It is sent to this gateway once, and a cookie takes its place.">
              <input name="key" type="password" autocomplete="current-password" required spellcheck="false" autofocus=${!told.oidc} />
            <//>
            ${error !== null && html`<${Failure} error=${error} />`}
            <button type="submit" class=${told.oidc ? 'wide' : 'primary wide'} disabled=${isBusy}>Sign in</button>
          </form>
          <p class="hint">No key yet? <code>pointsman keys create</code> makes one; the first start says where the first admin key is.</p>
        `}
      <//>
    </div>
  </main>`;
}
