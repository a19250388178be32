// What to do on a gateway that nobody has asked anything yet: the way from the first request to keys and a budget.

import { hrefOf } from '../parts/place.js';
import { useSession } from '../parts/session.js';
import { Copyable, html, Panel, Pill, useData } from '../parts/view.js';

/** Nothing is known of what is not asked for: who may only look is not told of keys and budgets. */
export function FirstSteps({ place }) {
  const session = useSession();
  const isManager = session.may('manage', 'admin');
  const isOpen = session.kind === 'anybody' || session.kind === 'operator';
  const health = useData('/v1/usage/health');
  const keys = useData(isManager ? '/v1/admin/keys' : null);
  const limits = useData(isManager ? '/v1/admin/limits' : null);
  const deployments = health.data?.deployments ?? [];
  const isSandbox = deployments.length > 0 && deployments.every(({ provider }) => provider === 'sandbox');
  const hasKeys = (keys.data?.keys ?? []).some(({ state }) => state === 'active');
  const hasLimits = (limits.data?.limits ?? []).length > 0;
  return html`<${Panel} title="No requests in this period" note="Send one, and this page fills within half a minute.">
    <ol class="steps">
      <${Step} title="Send a request">
        ${!isOpen && html`<p class="muted">With a key of yours as <code>POINTSMAN_KEY</code>.</p>`}
        <${Copyable} text=${requestLine(isOpen)} block />
        <p class="muted">Clients of OpenAI and Anthropic need no change but their base URL, <code>${location.origin}/v1</code>, and <code>"model": "auto"</code>.</p>
      <//>
      ${
        isSandbox &&
        html`<${Step} title="Connect a provider">
          <p class="muted">A sandbox makes answers up, since no provider’s key is set. Set one where the gateway is started (<code>OPENAI_API_KEY</code>, <code>ANTHROPIC_API_KEY</code>, <code>OPENROUTER_API_KEY</code> …) and start it again; <code>pointsman doctor</code> says whether it works.</p>
        <//>`
      }
      ${
        isManager &&
        html`<${Step} title="Make keys" isDone=${hasKeys} href=${hrefOf(place, 'keys')} link="To the keys">
            <p class="muted">${isOpen ? 'Nobody is asked for one yet: whoever reaches this address may do everything. The first is yours, an admin’s; then one for each client.' : 'One for each client: it says whose requests are whose, and what they may use.'}</p>
          <//>
          <${Step} title="Bound what is spent" isDone=${hasLimits} href=${hrefOf(place, 'budgets')} link="To the budgets">
            <p class="muted">In USD a day or a month, for everybody, a team, a key or a model. Near its end <code>auto</code> chooses cheaper models before anything is refused.</p>
          <//>`
      }
    </ol>
  <//>`;
}

const Step = ({ title, isDone = false, href, link, children }) => html`<li class="step">
  <h3>${title}${isDone && html` <${Pill} kind="good">done<//>`}</h3>
  ${children}
  ${href && html`<p><a href=${href}>${link}</a></p>`}
</li>`;

const requestLine = (isOpen) => `curl ${location.origin}/v1/chat/completions \\
${isOpen ? '' : '  -H "authorization: Bearer $POINTSMAN_KEY" \\\n'}  -H 'content-type: application/json' \\
  -d '{"model": "auto",
       "messages": [{"role": "user", "content": "What is 12 x 12?"}]}'`;
