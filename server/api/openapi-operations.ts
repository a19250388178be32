/** What `GET /openapi.json` says of each endpoint: one entry each, by `METHOD /path` as it is registered. */
import { z } from 'zod';
import { FeedbackBody } from '../feedback/verdict.ts';
import { LiteLlmImport } from '../governance/access/litellm-keys.ts';
import { KeyChanges, NewKey, NewTeam, Rotation, TeamChanges } from '../governance/access/records.ts';
import { BudgetChanges, NewLimit, RateChanges } from '../governance/limits/admin.ts';
import { NewVersion } from '../governance/policies/admin.ts';
import { JobOptions } from '../learning/jobs/learning.ts';
import { UsageQuery } from '../usage/contract.ts';
import { AuditQuery, ForceQuery, KeysQuery, TeamsQuery } from './access.ts';
import { CountBody } from './count-tokens.ts';
import { LimitsQuery } from './limits.ts';
import { EraseBody, ExportQuery } from './log-owner.ts';
import { AUDIT_PAGE, CHANGED_KEY, KEY, KEY_PAGE, MADE_KEY, ME, METHODS, TEAM, TEAM_LIST } from './openapi-answers.ts';
import { RouteBody } from './route.ts';
import { LoginQuery, SignInBody } from './sign-in.ts';
import { BODIES } from './surfaces.ts';
import { BreakdownQuery, CalibrationQuery, DecisionsQuery, LatencyQuery, SeriesQuery } from './usage.ts';
import { CurveQuery, HealthQuery, ObserveQuery } from './usage-live.ts';

export interface Operation {
  readonly tag: string;
  /** One line. */
  readonly summary: string;
  readonly description?: string;
  readonly body?: z.ZodType | 'multipart';
  /** It may be left out. */
  readonly bodyOptional?: boolean;
  readonly query?: z.ZodType;
  /** Name → what it is. */
  readonly params?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Schema of the answer, ours or as JSON Schema; without it any. */
  readonly answer?: z.ZodType | object;
  /** Default: 200. */
  readonly status?: number;
  /** Default: JSON. */
  readonly produces?: string;
}

const ROUTED =
  'The body is the protocol’s own; fields that are not named here go on to the provider. `model: "auto"` is routed, ' +
  '`provider/model` is called as it is. `routing` in the body (dial, minQuality, maxCostUsd, models, tags …) bounds the choice. ' +
  'With `stream: true` the answer is a stream of server-sent events.';

const KNOBS = {
  'x-pointsman-dial': 'As routing.dial, 0 (cheapest) … 10 (best), for clients that cannot add a field.',
  'x-pointsman-tags': 'As routing.tags, separated by commas.',
  'x-pointsman-explain': 'true: more headers on how it was decided.',
};

const surface = (summary: string, body: z.ZodType): Operation => ({
  tag: 'models',
  summary,
  description: ROUTED,
  body,
  headers: KNOBS,
});

const held = (summary: string, more: Partial<Operation> = {}): Operation => ({ tag: 'models', summary, ...more });
const usage = (summary: string, query: z.ZodType): Operation => ({ tag: 'usage', summary, query });
const local = (summary: string): Operation => ({ tag: 'command line', summary, body: ANY, bodyOptional: true });
const page = (summary: string): Operation => ({ tag: 'people', summary, produces: 'text/html' });

const ANY = z.looseObject({});
const NAMED = z.looseObject({ model: z.string().min(1) });
const KEY_ID = { params: { id: 'The key’s id.' } };
const TEAM_NAME = { params: { name: 'The team’s name.' } };
const LIMIT_ID = { params: { id: 'The limit’s id.' } };
const VERSION = { params: { version: 'The version’s number.' } };

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  'POST /v1/chat/completions': surface('Answer a conversation, in OpenAI’s chat protocol', BODIES.chat),
  'POST /v1/responses': surface('Answer, in OpenAI’s Responses protocol', BODIES.responses),
  'POST /v1/messages': surface('Answer a conversation, in Anthropic’s protocol', BODIES.messages),
  'POST /v1/embeddings': {
    ...surface('Embed texts with the model named', BODIES.embeddings),
    description: 'Never routed: name a model.',
  },
  'POST /v1/messages/count_tokens': {
    tag: 'models',
    summary: 'Count the tokens of a request',
    body: CountBody,
    description: 'An estimate has the header x-pointsman-estimated.',
  },
  'GET /v1/models': { tag: 'models', summary: 'List auto, aliases, and the models that can be called' },
  'GET /v1/models/*': {
    tag: 'models',
    summary: 'Show one of them',
    params: { rest: 'provider/model; may hold slashes.' },
  },
  'POST /v1/audio/speech': held('Speak a text; passed on to the model named', { body: NAMED, produces: 'audio/*' }),
  'POST /v1/audio/transcriptions': held('Write down what is said; passed on', { body: 'multipart' }),
  'POST /v1/audio/translations': held('Write down in English what is said; passed on', { body: 'multipart' }),
  'POST /v1/images/generations': held('Make images; passed on', { body: NAMED }),
  'POST /v1/moderations': held('Moderate; passed on', { body: NAMED }),
  'POST /v1/files': held('Keep a file with a provider', { body: 'multipart' }),
  'GET /v1/files': held('List this team’s files with a provider'),
  'GET /v1/files/:id': held('Show a file'),
  'DELETE /v1/files/:id': held('Delete a file'),
  'GET /v1/files/:id/content': held('Fetch a file', { produces: 'application/octet-stream' }),
  'POST /v1/batches': held('Begin a batch', { body: ANY }),
  'GET /v1/batches': held('List this team’s batches with a provider'),
  'GET /v1/batches/:id': held('Show a batch'),
  'POST /v1/batches/:id/cancel': held('Cancel a batch'),
  'GET /v1/responses/:id': held('Show an answer that a provider keeps'),
  'DELETE /v1/responses/:id': held('Delete an answer that a provider keeps'),
  'POST /v1/responses/:id/cancel': held('Cancel an answer that is being made in the background'),
  'GET /v1/responses/:id/input_items': held('List what an answer was given'),

  'POST /v1/route': {
    tag: 'routing',
    summary: 'Decide for a request and say why; calls nobody, writes nothing',
    body: RouteBody,
    headers: KNOBS,
  },
  'POST /v1/feedback': { tag: 'routing', summary: 'Say how good an answer was', body: FeedbackBody },
  'GET /v1/decisions/:id': {
    tag: 'routing',
    summary: 'Why a model was chosen, what was called, what it cost, what was said of it',
    params: { id: 'From the header x-pointsman-decision-id.' },
  },
  'POST /v1/learning/retrain': {
    tag: 'routing',
    summary: 'Ask for a retraining',
    body: JobOptions,
    bodyOptional: true,
    status: 202,
  },
  'GET /v1/learning/jobs': { tag: 'routing', summary: 'List retrainings' },
  'GET /v1/learning/jobs/:id': { tag: 'routing', summary: 'Show a retraining' },
  'GET /v1/learning/history': { tag: 'routing', summary: 'Routers that were promoted, refused and rolled back' },
  'POST /v1/learning/rollback': { tag: 'routing', summary: 'Take the router in force out of it' },
  'GET /v1/learning/alarms': { tag: 'routing', summary: 'What was seen to change' },
  'POST /v1/learning/alarms/:ordinal/clear': { tag: 'routing', summary: 'Say that an alarm was seen to' },

  'GET /v1/export/decisions': {
    tag: 'log',
    summary: 'The team’s decisions, one a line',
    query: ExportQuery,
    produces: 'application/x-ndjson',
  },
  'POST /v1/erase': { tag: 'log', summary: 'Take a person out of the team’s log', body: EraseBody },

  'GET /v1/me': { tag: 'admin', summary: 'Who I am here', answer: ME },
  'GET /v1/admin/keys': { tag: 'admin', summary: 'List keys, newest first', query: KeysQuery, answer: KEY_PAGE },
  'POST /v1/admin/keys': {
    tag: 'admin',
    summary: 'Make a key; its secret is shown this once',
    body: NewKey,
    answer: MADE_KEY,
    status: 201,
  },
  'GET /v1/admin/keys/:id': { tag: 'admin', summary: 'Show a key', ...KEY_ID, answer: KEY },
  'PATCH /v1/admin/keys/:id': {
    tag: 'admin',
    summary: 'Change a key',
    ...KEY_ID,
    body: KeyChanges,
    answer: CHANGED_KEY,
  },
  'DELETE /v1/admin/keys/:id': {
    tag: 'admin',
    summary: 'Revoke a key, on every replica within two seconds',
    ...KEY_ID,
    query: ForceQuery,
    answer: KEY,
  },
  'POST /v1/admin/keys/:id/rotate': {
    tag: 'admin',
    summary: 'Make a key in the place of another, which works on for a while',
    ...KEY_ID,
    body: Rotation,
    bodyOptional: true,
    answer: MADE_KEY,
    status: 201,
  },
  'GET /v1/admin/teams': { tag: 'admin', summary: 'List teams', query: TeamsQuery, answer: TEAM_LIST },
  'POST /v1/admin/teams': { tag: 'admin', summary: 'Make a team', body: NewTeam, answer: TEAM, status: 201 },
  'GET /v1/admin/limits': {
    tag: 'admin',
    summary: 'List budgets and rates, with what is used of them in the current period',
    query: LimitsQuery,
  },
  'POST /v1/admin/limits': {
    tag: 'admin',
    summary: 'Make a budget or a rate, in force on every replica within two seconds',
    description:
      'Conditions (team, project, key, model, provider, tag) must all hold; none: all requests together. `*` counts each team, project, key or tag by itself. Managers make them for keys, projects and tags of their team.',
    body: NewLimit,
    status: 201,
  },
  'PATCH /v1/admin/limits/:id': {
    tag: 'admin',
    summary: 'Change how much there is; what is spent stays spent',
    ...LIMIT_ID,
    body: z.union([BudgetChanges, RateChanges]),
  },
  'DELETE /v1/admin/limits/:id': { tag: 'admin', summary: 'Remove a limit', ...LIMIT_ID },
  'PATCH /v1/admin/teams/:name': {
    tag: 'admin',
    summary: 'Change a team',
    ...TEAM_NAME,
    body: TeamChanges,
    answer: TEAM,
  },
  'DELETE /v1/admin/teams/:name': {
    tag: 'admin',
    summary: 'Archive a team: its keys work no longer, nothing is deleted',
    ...TEAM_NAME,
    query: ForceQuery,
    answer: TEAM,
  },
  'GET /v1/admin/audit': {
    tag: 'admin',
    summary: 'Who changed what, newest first',
    query: AuditQuery,
    answer: AUDIT_PAGE,
  },
  'POST /v1/admin/import/litellm': {
    tag: 'admin',
    summary: 'Take keys and teams of LiteLLM over, by the digests that it keeps',
    body: LiteLlmImport,
  },
  'GET /v1/admin/policies': { tag: 'admin', summary: 'List versions of the policy document' },
  'POST /v1/admin/policies': {
    tag: 'admin',
    summary: 'Add a version; its examples must pass',
    body: NewVersion,
    status: 201,
  },
  'GET /v1/admin/policies/:version': { tag: 'admin', summary: 'Show a version', ...VERSION },
  'POST /v1/admin/policies/:version/activate': { tag: 'admin', summary: 'Put a version in force', ...VERSION },

  'GET /v1/usage/summary': usage('Sums of a span of time, with the saving and its interval', UsageQuery),
  'GET /v1/usage/series': usage('The same by hours or days', SeriesQuery),
  'GET /v1/usage/breakdown': usage('The same by model, team, key …, dearest first', BreakdownQuery),
  'GET /v1/usage/decisions': usage('Decisions, newest first', DecisionsQuery),
  'GET /v1/usage/calibration': usage('Predicted against judged quality, by version of the router', CalibrationQuery),
  'GET /v1/usage/latency': usage('Latency and errors of calls, by deployment', LatencyQuery),
  'GET /v1/usage/curve': usage('What other settings of the dial would have cost', CurveQuery),
  'GET /v1/usage/observe': usage('What auto would have saved on requests that named a model', ObserveQuery),
  'GET /v1/usage/health': usage('Deployments, and whether they rest', HealthQuery),

  'GET /auth/methods': { tag: 'people', summary: 'How one can sign in', answer: METHODS },
  'POST /auth/key': {
    tag: 'people',
    summary: 'Sign in with a key that sees usage, or manages',
    description: 'Sets the cookie pointsman_session. Ten wrong keys a minute from one address are a 429.',
    body: SignInBody,
  },
  'GET /auth/login': {
    tag: 'people',
    summary: 'Go to the identity provider to sign in',
    query: LoginQuery,
    status: 302,
  },
  'GET /auth/callback': { tag: 'people', summary: 'Come back from there', status: 302 },
  'POST /auth/logout': { tag: 'people', summary: 'Sign out', status: 204 },
  'GET /dashboard': page('The dashboard'),
  'GET /dashboard/': page('The dashboard'),
  'GET /dashboard/*': page('A file of the dashboard'),

  'GET /healthz': { tag: 'operation', summary: 'The process runs' },
  'GET /readyz': { tag: 'operation', summary: 'It can route and record; what it knows of itself' },
  'GET /metrics': { tag: 'operation', summary: 'Counters, in Prometheus’ form', produces: 'text/plain' },
  'GET /openapi.json': { tag: 'operation', summary: 'This document' },

  'POST /admin/retrain': local('Retrain now'),
  'POST /admin/rollback': local('Take the router in force out of it'),
  'POST /admin/trust': local('Sign an artifact that the operator vouches for'),
  'POST /admin/jobs': local('Ask for retrainings and follow them'),
  'POST /admin/log': { ...local('Judged decisions, one a line'), produces: 'application/x-ndjson' },
};
