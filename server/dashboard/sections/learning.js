// Learning: what is in force and on trial, what was tried and what came of it, and the way back.
import { call } from '../parts/api.js';
import { FormDialog } from '../parts/dialog.js';
import { exact, percent, shortHash } from '../parts/format.js';
import { Empty, Failure, html, Loaded, Moment, Panel, Pill, useData, useState } from '../parts/view.js';

export function Learning() {
  const history = useData('/v1/learning/history', { everyMs: 15_000 });
  const jobs = useData('/v1/learning/jobs?limit=10', { everyMs: 5_000 });
  const alarms = useData('/v1/learning/alarms', { everyMs: 30_000 });
  const again = () => Promise.all([history.reload(), jobs.reload(), alarms.reload()]);
  return html`
    <${Loaded} of=${history} height=${140}>${(data) => html`<${InForce} of=${data} onChange=${again} />`}<//>
    <${Panel} title="Retrainings" note="A router is fitted to the judged answers, compared with the one in force on the same log, and takes its place only if it is not worse.">
      <${Loaded} of=${jobs} height=${100} empty=${(data) => data.jobs.length === 0 && html`<${Empty} title="No retraining was asked for yet."><p>It begins by hand, by a schedule, or once enough answers were judged: <code>learning</code> in <code>pointsman.yaml</code>. It learns from verdicts on answers; <a href="#/quality">Quality</a> says how to give them.</p><//>`}>
        ${(data) => html`<ul class="rows">${data.jobs.map((job) => html`<${Job} key=${job.id} of=${job} />`)}</ul>`}
      <//>
    <//>
    <${Panel} title="Verdicts" note="What came of every new router, the latest first.">
      <${Loaded} of=${history} height=${200} empty=${(data) => data.history.length === 0 && html`<${Empty} title="Nothing was promoted or refused yet.">The router that the gateway was installed with is in force.<//>`}>
        ${(data) => html`<ol class="rows">${data.history.map((row) => html`<${Verdict} key=${row.ordinal} of=${row} />`)}</ol>`}
      <//>
    <//>
    <${Panel} title="Changes noticed" note="Prompts, forecasts, prices or latencies that are not what they were.">
      <${Loaded} of=${alarms} height=${100} empty=${(data) => data.alarms.length === 0 && html`<${Empty} title="Nothing has changed that would matter." />`}>
        ${(data) => html`<ul class="rows">${data.alarms.map((alarm) => html`<${Alarm} key=${alarm.ordinal} of=${alarm} onChange=${alarms.reload} />`)}</ul>`}
      <//>
    <//>
  `;
}

function InForce({ of, onChange }) {
  const [asks, setAsks] = useState(null);
  const { active, history } = of;
  // The last row with an effect says what goes on.
  const last = history.find(({ kind }) => kind !== 'refused');
  const trial = last?.trial ?? null;
  const changed = history.find(({ kind }) => kind === 'promoted' || kind === 'rolled-back');
  const close = () => setAsks(null);
  const done = async (path) => {
    await call('POST', path, {});
    close();
    await onChange();
  };
  return html`<section class="panel in-force" aria-label="The router in force">
    <div class="in-force-text">
      <p class="muted">In force</p>
      <p class="answer-model">${active === null ? 'The base router' : html`<code title=${active}>${shortHash(active)}</code>`}</p>
      ${changed !== undefined && html`<p class="muted">${changed.kind === 'promoted' ? 'promoted' : 'after a rollback'} <${Moment} at=${changed.createdAt} relative /></p>`}
    </div>
    ${trial !== null && html`<${Trial} of=${last} />`}
    <div class="in-force-do">
      <button type="button" onClick=${() => setAsks('retrain')}>Retrain now</button>
      <button type="button" class="danger" disabled=${active === null && trial === null} title=${active === null && trial === null ? 'The base router is in force: there is nothing to take back' : undefined} onClick=${() => setAsks('rollback')}>Roll back</button>
    </div>
    ${
      asks === 'rollback' &&
      html`<${FormDialog} title="Roll back?" submit="Roll back" danger onClose=${close} onSubmit=${() => done('/v1/learning/rollback')}>
        <p>${trial !== null && last.kind !== 'promoted' ? html`The trial of <code>${shortHash(trial.artifact)}</code> ends; what is in force stays.` : html`<code>${shortHash(active)}</code> is taken out of force, and the router before it decides again, on every replica, within seconds.`}</p>
        <p class="muted">Requests under way end as they began. The verdict stays in the history.</p>
      <//>`
    }
    ${
      asks === 'retrain' &&
      html`<${FormDialog} title="Retrain now?" submit="Retrain" onClose=${close} onSubmit=${() => done('/v1/learning/retrain')}>
        <p>A router is fitted to the judged answers of the log and compared with the one in force. It takes its place only if it passes the gate.</p>
      <//>`
    }
  </section>`;
}

function Trial({ of }) {
  const { kind, trial, previous, createdAt } = of;
  const whose = trial.teams.length === 0 ? 'the requests' : `the requests of ${trial.teams.join(', ')}`;
  return html`<div class="trial">
    <p class="muted">${kind === 'promoted' ? 'Watched' : 'On trial'}</p>
    <p><code title=${trial.artifact}>${shortHash(trial.artifact)}</code> <${Pill} kind="info">${kind}<//> <span class="muted"><${Moment} at=${createdAt} relative /></span></p>
    <p class="muted">
      ${
        kind === 'shadow'
          ? 'decides without acting'
          : kind === 'canary'
            ? `has ${percent(trial.share)} of ${whose}`
            : `${percent(1 - trial.share)} of ${whose} stay with ${shortHash(previous)} for comparison`
      }
    </p>
  </div>`;
}

const KINDS = {
  promoted: { tone: 'good', word: 'Promoted' },
  // Nothing is broken: it is what the gate is for.
  refused: { tone: 'warn', word: 'Refused' },
  'rolled-back': { tone: 'warn', word: 'Rolled back' },
  shadow: { tone: 'info', word: 'Shadow' },
  canary: { tone: 'info', word: 'Canary' },
  stopped: { tone: 'warn', word: 'Stopped' },
};

/** What came of it, in a sentence. */
function effectOf({ kind, artifact, previous, trial }, isThin) {
  const code = (hash) =>
    html`<code title=${hash ?? ''}>${hash === null || hash === undefined ? 'the base router' : shortHash(hash)}</code>`;
  if (kind === 'promoted') return html`Decides from then on, in place of ${code(previous)}.`;
  if (kind === 'refused')
    return isThin ? 'The router in force stays until more answers are judged.' : 'The router in force stays.';
  if (kind === 'rolled-back') return html`${code(artifact)} decides again, in place of ${code(previous)}.`;
  if (kind === 'shadow') return html`Decides beside ${code(previous)}, without acting, to be compared with it.`;
  if (kind === 'canary')
    return html`Decides ${trial ? percent(trial.share, 0) : 'a part'} of the requests, to be compared with ${code(previous)}.`;
  if (kind === 'stopped') return html`Its trial ended; ${code(artifact)} stays in force.`;
  return null;
}

const THIN = /^insufficient evidence: /;

const CHECKS = { passed: 'good', failed: 'bad', unknown: 'plain' };

function Verdict({ of }) {
  const verdict = of.verdict ?? {};
  const reasons = Array.isArray(verdict.reasons) ? verdict.reasons.map(String) : [];
  const checks = Array.isArray(verdict.checks) ? verdict.checks : [];
  const isThin =
    of.kind === 'refused' &&
    reasons.some((reason) => THIN.test(reason)) &&
    !checks.some(({ result }) => result === 'failed');
  const { tone, word } = isThin
    ? { tone: 'plain', word: 'Not enough evidence' }
    : (KINDS[of.kind] ?? { tone: 'plain', word: of.kind });
  // Where that is the verdict it is not said again.
  const told = reasons.map((reason) => reason.replace(THIN, isThin ? '' : 'cannot tell: '));
  const about = of.kind === 'stopped' ? (verdict.onTrial ?? of.artifact) : (of.trial?.artifact ?? of.artifact);
  return html`<li class="row">
    <div class="row-head">
      <${Pill} kind=${tone}>${word}<//>
      ${of.kind !== 'refused' && html`<code title=${about ?? ''}>${shortHash(about)}</code>`}
      ${verdict.samples !== undefined && html`<span class="muted">${exact(verdict.samples)} judged answer${verdict.samples === 1 ? '' : 's'}${verdict.hints > 0 && ` and ${exact(verdict.hints)} hint${verdict.hints === 1 ? '' : 's'}`}, ${exact(verdict.unseen)} new</span>`}
      <span class="row-when muted"><${Moment} at=${of.createdAt} relative /></span>
    </div>
    <p>${effectOf(of, isThin)}</p>
    ${told.length > 0 && html`<ul class="reasons">${told.slice(0, 3).map((reason, i) => html`<li key=${i}>${reason}</li>`)}</ul>`}
    ${
      (checks.length > 0 || told.length > 3) &&
      html`<details><summary>What was asked of it</summary>
        ${told.length > 3 && html`<ul class="reasons">${told.slice(3).map((reason, i) => html`<li key=${i}>${reason}</li>`)}</ul>`}
        <ul class="lines">${checks.map((check, i) => html`<li key=${i}><${Pill} kind=${CHECKS[check.result] ?? 'plain'}>${check.result === 'unknown' ? 'cannot tell' : check.result}<//> <b>${check.name}</b> <span class="muted">${check.detail}</span></li>`)}</ul>
      </details>`
    }
  </li>`;
}

const REASONS = {
  hand: 'by hand',
  schedule: 'by schedule',
  outcomes: 'enough was judged',
  drift: 'something had changed',
};
const STATES = { queued: 'plain', running: 'info', done: 'good', failed: 'bad' };

function Job({ of }) {
  return html`<li class="row">
    <div class="row-head">
      <${Pill} kind=${STATES[of.state] ?? 'plain'}>${of.state}<//>
      <span>Retraining ${of.id}</span><span class="muted">${REASONS[of.reason] ?? of.reason}${of.runs > 1 ? `, begun ${of.runs} times` : ''}</span>
      <span class="row-when muted"><${Moment} at=${of.finishedAt ?? of.startedAt ?? of.requestedAt} relative /></span>
    </div>
    ${of.state === 'running' && html`<div class="progress"><progress max="1" value=${of.progress} aria-label=${`Progress of retraining ${of.id}`}></progress><span class="muted">${percent(of.progress, 0)}${of.step ? ` · ${of.step}` : ''}</span></div>`}
    ${of.error && html`<p class="muted">${of.error.message} <code>${of.error.code}</code></p>`}
    ${of.result?.outcome && html`<p class="muted">${String(of.result.outcome).replaceAll('-', ' ')}${of.result.reasons?.[0] ? `: ${of.result.reasons[0]}` : ''}</p>`}
  </li>`;
}

function Alarm({ of, onChange }) {
  const [error, setError] = useState(null);
  const clear = async () => {
    try {
      await call('POST', `/v1/learning/alarms/${of.ordinal}/clear`, {});
      await onChange();
    } catch (caught) {
      setError(caught);
    }
  };
  return html`<li class="row">
    <div class="row-head">
      <${Pill} kind=${of.clearedAt === null ? 'warn' : 'plain'}>${of.kind}<//>
      <span>${of.text}</span>
      <span class="row-when muted"><${Moment} at=${of.raisedAt} relative /></span>
      ${of.clearedAt === null && html`<button type="button" class="small" onClick=${clear}>Clear</button>`}
    </div>
    ${error !== null && html`<${Failure} error=${error} />`}
  </li>`;
}
