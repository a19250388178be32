/** A gateway that answers as the contract says, with made-up numbers: what the page is looked at with. */
import Fastify, { type FastifyInstance } from 'fastify';
import { RoutingError } from '../../../datasets/index.ts';
import { hashFraction } from '../../../datasets/random.ts';
import { dashboardRoute } from '../../../server/api/dashboard.ts';
import { handleError } from '../../../server/api/errors.ts';
import type {
  DecisionLine,
  DecisionPage,
  Usage,
  UsageBreakdown,
  UsageCalibration,
  UsageCurve,
  UsageSeries,
  UsageSummary,
} from '../../../server/usage/contract.ts';
import type { Health } from '../../../server/usage/health.ts';
import type { UsageObserve } from '../../../server/usage/observe.ts';

/** Names as clients, teams and models may have them. */
export interface Names {
  readonly models: readonly string[];
  readonly teams: readonly string[];
  /** Whatever else somebody may have written: names of keys, tags, labels, reasons, messages. */
  readonly text: (plain: string) => string;
}

export const PLAIN: Names = {
  models: [
    'anthropic/claude-sonnet-4-5',
    'openai/gpt-5-mini',
    'google/gemini-2.5-flash',
    'mistral/mistral-small-3.2',
    'groq/llama-3.3-70b-versatile',
    'deepseek/deepseek-chat',
  ],
  teams: ['checkout', 'search', 'support', 'research'],
  text: (plain) => plain,
};

/** Would do something, or break the page, were it taken for markup, a URL or a style. */
export const PAYLOADS = [
  '<img src=x onerror="window.hacked=1">',
  '<script>window.hacked=2</script>',
  '"><svg onload=window.hacked=3>',
  "javascript:window.hacked=4//'",
  '\u202egnp.exe\u202c \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd',
  `${'very-long-'.repeat(60)}end`,
  '</title></style><iframe srcdoc="<script>parent.hacked=5</script>">',
  `$\{window.hacked=6} {{window.hacked=7}} __proto__ constructor`,
];

let turn = 0;
export const HOSTILE: Names = {
  models: PAYLOADS.map((payload) => `evil/${payload}`),
  teams: PAYLOADS,
  text: (plain) => `${PAYLOADS[turn++ % PAYLOADS.length]} ${plain}`,
};

const HOUR = 3_600_000;

/** Uniform in [0, 1), the same for the same name. */
const u = (...name: unknown[]): number => hashFraction(name.join(' '), 7);

function usage(name: string, requests: number): Usage {
  const compared = Math.round(requests * 0.86);
  const baselineCostUsd = compared * 0.0061 * (0.9 + 0.2 * u(name, 'base'));
  const comparedCostUsd = baselineCostUsd * (0.3 + 0.12 * u(name, 'share'));
  const savingUsd = baselineCostUsd - comparedCostUsd;
  const judged = Math.round(requests * 0.04);
  const p50 = 620 + 500 * u(name, 'p50');
  return {
    requests,
    routed: compared,
    errors: Math.round(requests * 0.012 * u(name, 'errors')),
    cached: Math.round(requests * 0.05),
    answered: Math.round(requests * 0.937),
    guarded: Math.round(requests * 0.003),
    blocked: Math.round(requests * 0.001),
    inputTokens: requests * 930,
    outputTokens: requests * 310,
    costUsd: comparedCostUsd * 1.09,
    comparedRequests: compared,
    comparedCostUsd,
    baselineCostUsd,
    savingUsd,
    savingLowUsd: savingUsd * 0.94,
    savingHighUsd: savingUsd * 1.05,
    quality: judged > 0 ? 0.86 + 0.08 * u(name, 'q') : null,
    judged,
    predictedQuality: judged > 0 ? 0.87 + 0.06 * u(name, 'pq') : null,
    p50Ms: p50,
    p95Ms: p50 * (3 + u(name, 'p95')),
    p99Ms: p50 * (6 + 3 * u(name, 'p99')),
  };
}

/** Requests of an hour: more by day than by night, and a little more every day. */
const rate = (at: number) =>
  Math.round((420 + 330 * Math.sin(((at / HOUR) % 24) / 3.82 - 1.9)) * (0.85 + 0.3 * u('rate', at)));

const ids = Array.from({ length: 12 }, (_, i) => hexOf(`decision ${i}`, 32));

function hexOf(name: string, length: number): string {
  let text = '';
  for (let i = 0; text.length < length; i++)
    text += Math.floor(u(name, i) * 0xffffffff)
      .toString(16)
      .padStart(8, '0');
  return text.slice(0, length);
}

export interface MadeUp {
  readonly names?: Names;
  /** Scopes of whoever looks; null: nobody has signed in. */
  readonly scopes?: readonly string[] | null;
  /** No request was ever made. */
  readonly isEmpty?: boolean;
  /** Nobody is asked for a key until there is one, as on a gateway just installed. */
  readonly isOpen?: boolean;
  /** Client keys beside the five that there always are. */
  readonly moreKeys?: number;
  /** Paths that fail. */
  readonly fails?: RegExp;
}

export interface MadeUpGateway {
  readonly app: FastifyInstance;
  readonly url: string;
  /** What was changed, in order: `POST /v1/admin/keys {…}`. */
  readonly changes: string[];
  /** May be changed while a page is open. */
  readonly made: { -readonly [K in keyof MadeUp]: MadeUp[K] };
}

export const ALL_SCOPES = ['call', 'feedback', 'usage', 'manage', 'admin', 'learn', 'export', 'erase'];

export async function madeUpGateway(first: MadeUp = {}): Promise<MadeUpGateway> {
  const made: MadeUpGateway['made'] = { ...first };
  const changes: string[] = [];
  const app = Fastify({ forceCloseConnections: true });
  app.setErrorHandler(handleError);
  dashboardRoute(app);
  app.addHook('onRequest', async ({ url, method, headers }) => {
    if (!url.startsWith('/v1/') && !url.startsWith('/auth/')) return;
    if (made.fails?.test(url)) throw new RoutingError('DATABASE_UNAVAILABLE', names().text('the database is away'));
    if (method !== 'GET' && headers['x-pointsman-csrf'] !== '1') throw new RoutingError('FORBIDDEN', 'no csrf header');
    if (url.startsWith('/v1/') && made.scopes === null) throw new RoutingError('UNAUTHORIZED', 'no session');
  });
  app.addHook('preHandler', async ({ url, method, body }) => {
    if (method !== 'GET') changes.push(`${method} ${url} ${JSON.stringify(body ?? null)}`);
  });
  const names = () => made.names ?? PLAIN;
  const spanOf = (query: unknown) => {
    const { from, to, step } = query as { from?: string; to?: string; step?: 'hour' | 'day' };
    const end = to === undefined ? Date.now() : Date.parse(to);
    return { start: from === undefined ? end - 30 * 24 * HOUR : Date.parse(from), end, step: step ?? 'day' };
  };
  const groupsOf = (by: string | undefined): readonly (string | null)[] => {
    const { models, teams } = names();
    if (by === undefined) return [null];
    if (by === 'model') return models;
    if (by === 'team') return teams;
    if (by === 'provider') return [...new Set(models.map((id) => id.slice(0, id.indexOf('/'))))];
    return [hexOf('router 2', 64), hexOf('router 1', 64)];
  };
  const total = (query: unknown) => {
    const { start, end } = spanOf(query);
    let sum = 0;
    for (let at = start; at < end; at += HOUR) sum += rate(at);
    return made.isEmpty ? 0 : sum;
  };
  const share = (group: string | null, all: readonly (string | null)[]) => {
    const weights = all.map((_, i) => 1 / (i + 1.3) ** 1.25);
    return weights[all.indexOf(group)]! / weights.reduce((a, b) => a + b, 0);
  };

  app.get('/v1/me', async () => ({
    kind: made.isOpen ? 'anybody' : 'person',
    name: names().text('Ada Okafor'),
    role: made.scopes?.includes('admin') === false ? 'read-only' : 'admin',
    team: made.scopes?.includes('admin') === false ? names().teams[0] : null,
    project: null,
    scopes: made.scopes ?? ALL_SCOPES,
  }));
  app.get('/auth/methods', async () => ({ oidc: true, key: true, open: false }));
  app.post('/auth/key', async ({ body }) => {
    if (!['pm-right', SECRET].includes((body as { key: string }).key))
      throw new RoutingError('UNAUTHORIZED', 'this API key is not known here');
    made.scopes = ALL_SCOPES;
    return { name: 'Ada Okafor', role: 'admin', team: null };
  });
  app.post('/auth/logout', async (_, reply) => {
    made.scopes = null;
    return reply.code(204).send();
  });

  app.get('/v1/usage/summary', async ({ query }): Promise<UsageSummary> => {
    const { start, end } = spanOf(query);
    const all = usage('all', total(query));
    const nothing = { quality: null, predictedQuality: null, p50Ms: null, p95Ms: null, p99Ms: null };
    return {
      ...all,
      ...(made.isEmpty && nothing),
      from: new Date(start).toISOString(),
      to: new Date(end).toISOString(),
      baseline: names().models[0]!,
      rolledUpTo: new Date(Date.now() - 40_000).toISOString(),
    };
  });
  app.get('/v1/usage/series', async ({ query }): Promise<UsageSeries> => {
    const { start, end, step } = spanOf(query);
    const { by } = query as { by?: string };
    const size = step === 'hour' ? HOUR : 24 * HOUR;
    const all = groupsOf(by);
    const points = [];
    for (let at = Math.floor(start / size) * size; at < end; at += size) {
      const requests = Array.from({ length: size / HOUR }, (_, i) => rate(at + i * HOUR)).reduce((a, b) => a + b, 0);
      for (const group of all) {
        const name = `${group} ${at}`;
        const part = by === undefined ? 1 : share(group, all) * (0.8 + 0.4 * u(name));
        points.push({ ...usage(name, Math.round(requests * part)), at: new Date(at).toISOString(), group });
      }
    }
    return { step, points: made.isEmpty ? [] : points };
  });
  app.get('/v1/usage/breakdown', async ({ query }): Promise<UsageBreakdown> => {
    const { by = 'model' } = query as { by?: UsageBreakdown['by'] };
    const all = groupsOf(by);
    const rows = all.map((group) => ({ ...usage(String(group), Math.round(total(query) * share(group, all))), group }));
    return { by, rows: made.isEmpty ? [] : rows };
  });
  app.get('/v1/usage/calibration', async (): Promise<UsageCalibration> => {
    const version = (name: string, judged: number, bend: number) => ({
      artifact: hexOf(name, 64),
      judged,
      ece: Math.abs(bend) * 0.6,
      bins: Array.from({ length: 10 }, (_, i) => {
        const predicted = (i + 0.5) / 10;
        const observed = Math.max(0, Math.min(1, predicted + bend * Math.sin(i) + 0.04 * (u(name, i) - 0.5)));
        return { predicted, observed, count: i < 2 ? 0 : Math.round((judged * i ** 2) / 285) };
      }),
    });
    return {
      versions: made.isEmpty
        ? []
        : [version('router 2', 4120, 0.03), version('router 1', 1875, -0.12), version('router 0', 42, 0.2)],
    };
  });
  app.get('/v1/usage/decisions', async ({ query }): Promise<DecisionPage> => {
    const { cursor, status } = query as { cursor?: string; status?: string };
    const lines = ids.map((id, i) => decisionLine(names(), id, i));
    const shown = lines.filter((line) => status === undefined || line.status === status);
    return { decisions: made.isEmpty ? [] : shown, next: cursor === undefined && !made.isEmpty ? 'more' : null };
  });
  app.get<{ Params: { id: string } }>('/v1/decisions/:id', async ({ params }) => {
    if (!ids.includes(params.id)) throw new RoutingError('NOT_FOUND', 'no decision of that id');
    const whole = wholeDecision(names(), params.id);
    const at = ids.indexOf(params.id);
    if (at === 10)
      return { ...whole, ...decisionLine(names(), params.id, at), routed: false, ranked: [], filtered: [] };
    return at === 11 ? { ...whole, ranked: whole.ranked.slice(0, 1), distribution: [], damage: DAMAGE } : whole;
  });
  const hoursAgo = (hours: number) => new Date(Date.now() - hours * HOUR).toISOString();
  app.get(
    '/v1/usage/health',
    async (): Promise<Health> => ({
      refusals: {
        since: hoursAgo(48),
        requests: made.isEmpty ? 0 : 4203,
        counts: made.isEmpty
          ? []
          : (['budget', 'policy', 'rate', 'guardrail', 'model'] as const).map((reason, i) => ({
              ...{ team: names().teams[i % names().teams.length]!, key: i === 3 ? null : names().text('checkout-web') },
              ...{
                reason,
                by: i % 2 === 0 ? names().text('each-team') : null,
                requests: Math.ceil(4000 / 10 ** i),
                lastAt: hoursAgo(2 * i),
              },
            })),
      },
      deployments: names().models.map((model, i) => ({
        deployment: i === 2 ? `${model}#eu` : model,
        model,
        provider: model.slice(0, model.indexOf('/')),
        rests: i === 2,
        restsForMs: i === 2 ? 14_200 : null,
        requests: i === 5 ? 0 : Math.round(2200 / (i + 1)),
        errors: i === 2 ? 31 : i,
        p95Ms: i === 5 ? null : 1800 + 300 * i,
      })),
    }),
  );
  app.get('/v1/usage/curve', async (): Promise<UsageCurve | { sample: 0; current: null; points: [] }> => {
    if (made.isEmpty) return { sample: 0, current: null, points: [] };
    const points = Array.from({ length: 21 }, (_, i) => {
      const dial = i / 2;
      const x = dial / 10;
      return {
        dial,
        quality: 0.742 + 0.19 * (1 - (1 - x) ** 2.4),
        costUsd: 0.00032 + 0.0068 * x ** 2.2,
        models: Object.fromEntries(
          names()
            .models.slice(0, 4)
            .map((model, k) => [model, [x ** 1.5, 0.4 * (1 - x), 0.35 * (1 - x), 0.25 * (1 - x)][k]!]),
        ),
      };
    });
    const { quality, costUsd } = points[10]!;
    return { sample: 2000, current: { dial: 5, quality, costUsd }, points };
  });
  app.get('/v1/usage/observe', async ({ query }): Promise<UsageObserve> => {
    const { start, end } = spanOf(query);
    const nothing = { autoUsd: null, savedUsd: null, savedShare: null, otherShare: null, qualityDifference: null };
    const estimates = {
      autoUsd: { value: 41.2, low: 37.9, high: 44.8 },
      savedUsd: { value: 71.3, low: 66.4, high: 76.5 },
      savedShare: { value: 0.634, low: 0.601, high: 0.662 },
      otherShare: { value: 0.712, low: 0.69, high: 0.735 },
      qualityDifference: { value: -0.008, low: -0.013, high: -0.004 },
    };
    const counts = made.isEmpty
      ? { requests: 0, sessions: 0, unknown: 0, paidUsd: 0 }
      : { requests: 3980, sessions: 1204, unknown: 61, paidUsd: 112.5 };
    return {
      from: new Date(start).toISOString(),
      to: new Date(end).toISOString(),
      share: made.isEmpty ? 0 : 1,
      enough: 30,
      limited: false,
      observed: { ...counts, ...(made.isEmpty ? nothing : estimates) },
    };
  });
  learningRoutes(app, names, () => made.isEmpty === true);
  adminRoutes(app, made, names, () => made.isEmpty === true);
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { app, url, changes, made };
}

const REASONS = ['cheapest_adequate', 'cheapest_adequate', 'explored', 'requested', 'sticky', 'abstained', 'fallback'];
const STATUSES = ['ok', 'ok', 'ok', 'cached', 'ok', 'error', 'ok', 'blocked', 'partial'] as const;

function decisionLine({ models, teams, text }: Names, id: string, i: number): DecisionLine {
  const status = STATUSES[i % STATUSES.length]!;
  const held = i === 10 && { surface: 'batches', requestedModel: 'openai', model: 'openai', executedModel: 'openai' };
  return {
    id,
    createdAt: new Date(Date.now() - i * 83_000).toISOString(),
    team: teams[i % teams.length]!,
    key: text('checkout-web'),
    surface: 'chat',
    requestedModel: i % 4 === 3 ? models[0]! : 'auto',
    model: models[(i * 2) % models.length]!,
    executedModel: status === 'error' || status === 'blocked' ? null : models[(i * 2) % models.length]!,
    reason: REASONS[i % REASONS.length]!,
    costUsd: status === 'error' ? 0 : 0.00012 + 0.004 * u('cost', i),
    baselineCostUsd: 0.0061,
    totalMs: 420 + 2400 * u('ms', i),
    status,
    ...(held && { ...held, reason: 'requested' }),
  };
}

/** What the gateway says of a decision whose candidates cannot be read. */
export const DAMAGE = 'RECORD_DAMAGED: the candidates of a decision: 60 bytes are there, at least 61 were written';

function wholeDecision({ models, teams, text }: Names, id: string) {
  const ranked = models.slice(0, 5).map((model, i) => ({
    model: models[(i + 1) % models.length]!,
    like: model,
    quality: 0.913 - 0.031 * i + (i === 3 ? 0.09 : 0),
    qualitySd: 0.04,
    outputTokens: 320,
    costUsd: 0.00041 * (i + 1) ** 1.7,
    adequate: i === 0 || i === 3,
  }));
  return {
    id,
    createdAt: new Date(Date.now() - 83_000).toISOString(),
    tenant: teams[0],
    key: text('checkout-web'),
    project: text('cart'),
    requestedModel: 'auto',
    routed: true,
    model: ranked[0]!.model,
    executedModel: ranked[0]!.model,
    reason: 'cheapest_adequate',
    propensity: 0.952,
    explored: false,
    floor: 0.884,
    distribution: ranked.map(({ model }, i) => ({ model, probability: i === 0 ? 0.952 : 0.012 })),
    ranked,
    filtered: [
      { model: models.at(-1), reason: 'no_tools' },
      { model: models.at(-2), reason: 'context_too_small' },
    ],
    difficulty: -0.31,
    outOfDomain: 0.08,
    artifact: hexOf('router 2', 64),
    baselineModel: models[0],
    baselineCostUsd: 0.0061,
    routerMs: 0.42,
    tags: [text('eu'), text('checkout')],
    policyVersion: 7,
    cached: false,
    guards: [{ guard: text('pii'), found: 'email', where: 'prompt', action: 'masked', count: 2 }],
    attempts: [
      attempt('a1', ranked[1]!.model, 'error', 'UPSTREAM_TIMEOUT', text),
      attempt('a2', ranked[0]!.model, 'ok', null, text),
    ],
    feedback: [
      {
        id: 'f1',
        score: 1,
        source: text('user'),
        kind: 'verdict',
        label: text('helpful'),
        createdAt: new Date().toISOString(),
      },
      { id: 'f2', score: 0.75, source: 'judge', kind: 'audit', label: null, createdAt: new Date().toISOString() },
    ],
  };
}

const attempt = (id: string, model: string, status: string, errorCode: string | null, text: Names['text']) => ({
  id,
  deployment: text(model),
  model,
  provider: model.slice(0, model.indexOf('/')),
  purpose: 'answer',
  status,
  errorCode,
  inputTokens: status === 'ok' ? 812 : null,
  outputTokens: status === 'ok' ? 304 : null,
  costUsd: status === 'ok' ? 0.00044 : 0,
  firstByteMs: status === 'ok' ? 231 : null,
  totalMs: status === 'ok' ? 1322 : 5000,
});

function learningRoutes(app: FastifyInstance, names: () => Names, isEmpty: () => boolean): void {
  const ago = (hours: number) => new Date(Date.now() - hours * HOUR).toISOString();
  const check = (name: string, result: string, detail: string) => ({ name, result, detail: names().text(detail) });
  app.get('/v1/learning/history', async () => {
    if (isEmpty()) return { active: null, history: [] };
    const [r0, r1, r2, r3] = [0, 1, 2, 3].map((i) => hexOf(`router ${i}`, 64));
    const base = { jobId: null, trial: null };
    return {
      active: r2,
      history: [
        {
          ...{ ...base, ordinal: 6, createdAt: ago(5), kind: 'canary', artifact: r2, previous: r2 },
          trial: { artifact: r3, share: 0.1, teams: [] },
          verdict: {
            reasons: [names().text('utility, doubly robust +0.011 (+0.004 to +0.018)')],
            samples: 5210,
            unseen: 1102,
          },
        },
        {
          ...{ ...base, ordinal: 5, createdAt: ago(31), kind: 'refused', artifact: r2, previous: r2 },
          verdict: {
            reasons: [
              'quality may fall by 0.012, beyond the 0.005 that is allowed',
              'insufficient evidence: 4 checks of latency',
            ],
            samples: 4108,
            unseen: 640,
            checks: [
              check('forecasts', 'passed', 'log loss −0.012 (−0.019 to −0.006)'),
              check('choices', 'failed', 'quality −0.004 (−0.012 to +0.003), −0.005 is allowed'),
              check('latency', 'unknown', 'too few answers to tell'),
            ],
          },
        },
        {
          ...{ ...base, ordinal: 4, createdAt: ago(80), kind: 'refused', artifact: r2, previous: r2 },
          verdict: {
            reasons: ['insufficient evidence: 21 judged answers since the router in force was fitted, 50 are needed'],
            samples: 3468,
            unseen: 21,
            checks: [],
          },
        },
        {
          ...{ ...base, ordinal: 3, createdAt: ago(120), kind: 'promoted', artifact: r2, previous: r1 },
          verdict: {
            reasons: ['forecasts are better', 'choices are no worse'],
            samples: 3447,
            unseen: 912,
            checks: [check('forecasts', 'passed', 'log loss −0.02')],
          },
        },
        {
          ...base,
          ordinal: 2,
          createdAt: ago(200),
          kind: 'rolled-back',
          artifact: r1,
          previous: r0,
          verdict: { reasons: ['by hand'] },
        },
        {
          ...base,
          ordinal: 1,
          createdAt: ago(230),
          kind: 'promoted',
          artifact: r1,
          previous: null,
          verdict: { reasons: ['forecasts are better'], samples: 1200, unseen: 1200 },
        },
      ],
    };
  });
  app.get('/v1/learning/jobs', async () => ({
    jobs: isEmpty()
      ? []
      : [
          {
            id: '8',
            kind: 'retrain',
            state: 'running',
            reason: 'schedule',
            requestedAt: ago(0.1),
            startedAt: ago(0.05),
            finishedAt: null,
            runs: 1,
            progress: 0.62,
            step: names().text('comparing the choices'),
            result: null,
            error: null,
          },
          {
            id: '7',
            kind: 'retrain',
            state: 'done',
            reason: 'outcomes',
            requestedAt: ago(31),
            startedAt: ago(31),
            finishedAt: ago(30.9),
            runs: 1,
            progress: 1,
            step: null,
            result: { outcome: 'refused', reasons: [names().text('quality may fall by 0.012')] },
            error: null,
          },
          {
            id: '6',
            kind: 'retrain',
            state: 'failed',
            reason: 'hand',
            requestedAt: ago(60),
            startedAt: ago(60),
            finishedAt: ago(60),
            runs: 2,
            progress: 0.1,
            step: null,
            result: null,
            error: { code: 'EMPTY_TABLE', message: names().text('nothing was judged') },
          },
        ],
  }));
  app.get('/v1/learning/alarms', async () => ({
    alarms: isEmpty()
      ? []
      : [
          {
            ordinal: 2,
            raisedAt: ago(9),
            kind: 'latency',
            subject: names().models[2],
            clearedAt: null,
            text: names().text('google/gemini-2.5-flash answers 1.9 times as slowly as it did'),
          },
          {
            ordinal: 1,
            raisedAt: ago(90),
            kind: 'price',
            subject: names().models[1],
            clearedAt: ago(80),
            text: names().text('openai/gpt-5-mini costs 20 % less'),
          },
        ],
  }));
  app.post('/v1/learning/rollback', async () => ({ from: hexOf('router 3', 64), to: null, stopped: true }));
  app.post('/v1/learning/retrain', async (_, reply) => reply.code(202).send({ id: '9', isNew: true }));
  app.post('/v1/learning/alarms/:ordinal/clear', async () => ({ cleared: true }));
}

/** Of a key that was just made. */
const SECRET = 'pm-shown-once-0123456789';

function adminRoutes(
  app: FastifyInstance,
  made: MadeUpGateway['made'],
  names: () => Names,
  isEmpty: () => boolean,
): void {
  const ago = (days: number) => new Date(Date.now() - days * 24 * HOUR).toISOString();
  const key = (name: string, i: number, more: object = {}) => ({
    id: `k${i}`,
    prefix: `pm-${hexOf(name, 6)}`,
    name: names().text(name),
    team: names().teams[i % names().teams.length]!,
    project: i % 2 === 0 ? names().text('cart') : null,
    role: 'member',
    scopes: ['call', 'feedback', 'usage'],
    state: 'active',
    scheme: 'pm',
    createdAt: ago(40 - i),
    createdBy: names().text('ada'),
    expiresAt: i === 1 ? ago(-20) : null,
    revokedAt: null,
    replacedBy: null,
    lastUsedAt: i === 3 ? null : ago(i / 30),
    ...more,
  });
  app.get('/v1/admin/keys', async () => ({
    keys: isEmpty()
      ? []
      : [
          key('checkout-web', 0),
          key('search-batch', 1, { models: [names().models[1], names().models[2]] }),
          key('support-bot', 2, { replacedBy: 'k0' }),
          key('notebooks', 3, { role: 'manager' }),
          key('old-one', 4, { state: 'revoked', revokedAt: ago(3) }),
          ...Array.from({ length: made.moreKeys ?? 0 }, (_, i) => key(`client-${i}`, i + 5)),
        ],
  }));
  app.post('/v1/admin/keys', async ({ body }) => {
    // From the first key on everybody is asked for one.
    if (made.isOpen) Object.assign(made, { isOpen: false, isEmpty: false, scopes: null });
    return { key: key((body as { name: string }).name, 9), secret: SECRET };
  });
  app.post('/v1/admin/keys/:id/rotate', async () => ({
    key: key('checkout-web', 10),
    secret: 'pm-shown-once-9876543210',
  }));
  app.delete('/v1/admin/keys/:id', async () => key('checkout-web', 0, { state: 'revoked' }));
  app.get('/v1/admin/teams', async () => ({
    teams: names().teams.map((name, i) => ({
      name,
      description: names().text(['Pays the bills', 'Finds things', '', 'Tries things'][i % 4]!),
      projects: i % 2 === 0 ? [names().text('cart'), 'mobile'] : [],
      settings: { exploration: i === 3 },
      source: i === 0 ? 'configuration' : 'database',
      createdAt: i === 0 ? null : ago(50),
      archivedAt: i === 2 ? ago(2) : null,
    })),
  }));
  app.post('/v1/admin/teams', async ({ body }) => body);
  const use = (measure: string, cap: number, used: number, subject: string | null = null) => ({
    ...{ measure, subject, cap, used, reserved: 0 },
    endsAt: ago(-2),
  });
  app.get('/v1/admin/limits', async () => ({
    limits: isEmpty()
      ? []
      : [
          {
            id: 'l1',
            kind: 'budget',
            name: names().text('everything'),
            usd: 5000,
            period: 'month',
            softShare: 0.8,
            softDial: 2,
            notifyAt: [50, 80, 100],
            madeBy: 'configuration',
            use: [use('usd', 5000, 2214.4)],
          },
          {
            id: 'l2',
            kind: 'budget',
            name: names().text('teams'),
            team: '*',
            usd: 800,
            period: 'month',
            softShare: 0.8,
            softDial: 2,
            notifyAt: [50, 80, 100],
            madeBy: 'admin',
            use: [
              use('usd', 800, 712.3, names().teams[0]),
              use('usd', 800, 420.9, names().teams[1]),
              use('usd', 800, 800, names().teams[2]),
              { ...use('usd', 800, 24, names().text('nightly')), reserved: 224 },
            ],
          },
          {
            id: 'l3',
            kind: 'budget',
            name: names().text('notebooks'),
            key: names().text('notebooks'),
            usd: 20,
            period: 'day',
            softShare: 0.9,
            softDial: 2,
            notifyAt: [100],
            madeBy: 'admin',
            use: [],
          },
          {
            id: 'l4',
            kind: 'rate',
            name: names().text('search burst'),
            team: names().teams[1],
            requestsPerMinute: 600,
            tokensPerMinute: 2_000_000,
            madeBy: 'admin',
            use: [use('requests', 600, 212), use('tokens', 2_000_000, 310_000)],
          },
        ],
  }));
  app.post('/v1/admin/limits', async ({ body }) => body);
  app.patch('/v1/admin/limits/:id', async ({ body }) => body);
  app.delete('/v1/admin/limits/:id', async () => ({}));
  app.get('/v1/admin/audit', async () => ({
    entries: isEmpty()
      ? []
      : ['key.create', 'key.rotate', 'budget.update', 'team.archive', 'session.open'].map((action, i) => ({
          ordinal: 50 - i,
          at: ago(i / 3),
          actor: names().text('ada@example.com'),
          actorKind: 'person',
          action,
          subject: names().text('checkout-web'),
          team: i === 4 ? null : names().teams[i % names().teams.length],
          details: i === 4 ? {} : { before: { usd: 100 }, after: { usd: 200, note: names().text('more') } },
          requestId: hexOf(`request ${i}`, 32),
        })),
    next: null,
  }));
}
