/**
 * The tables, the same on PGlite and PostgreSQL. No foreign keys: rows arrive in
 * batches and from a spool, so feedback may be there before its decision.
 * After a change: `npx drizzle-kit generate` (see README.md).
 */
import { endianness } from 'node:os';
import {
  bigint,
  boolean,
  customType,
  doublePrecision,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
} from 'drizzle-orm/pg-core';
import type {
  AlarmKind,
  Arm,
  AttemptRecord,
  FeedbackKind,
  GuardHit,
  JobKind,
  JobState,
  LimitKind,
  LimitScope,
  ObservedChoice,
  OutcomeKind,
  PromotionKind,
  Role,
  SpendingPurpose,
  TrialTerms,
} from './records.ts';

/** Text as PostgreSQL can hold it: no NUL, no half of a surrogate pair. */
export const storableText = (value: string): string =>
  value.replace(/\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');

/** JSON kept as `jsonb`, whose numbers are exact: a double comes back bit for bit. */
const exactJson = customType<{ data: unknown; driverData: unknown }>({
  dataType: () => 'jsonb',
  toDriver: (value) => {
    const json = JSON.stringify(value ?? null);
    // jsonb refuses NUL and lone surrogates, which JSON itself can escape.
    return /\\u(0000|d[89a-f])/i.test(json) ? JSON.stringify(storable(value)) : json;
  },
  fromDriver: (value) => (typeof value === 'string' ? JSON.parse(value) : value),
});

/** A vector as float32, little-endian. */
const vector = customType<{ data: Float32Array; driverData: Uint8Array }>({
  dataType: () => 'bytea',
  toDriver: vectorBytes,
  fromDriver: vectorOf,
});

const bytes = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => 'bytea' });

const cleanText = customType<{ data: string; driverData: string }>({ dataType: () => 'text', toDriver: storableText });

const moment = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' });

/** A number of tokens. Some providers report fractions. */
const count = customType<{ data: number; driverData: unknown }>({
  dataType: () => 'bigint',
  toDriver: (value) => Math.round(value),
  fromDriver: Number,
});

/** One row per request answered. Partitioned by month, as `attempts` and `texts` are (partitions.ts). */
export const decisions = pgTable(
  'decisions',
  {
    id: cleanText('id').notNull(),
    createdAt: moment('created_at').notNull(),
    tenant: cleanText('tenant').notNull(),
    key: cleanText('key'),
    surface: cleanText('surface').notNull().default('chat'),
    tags: exactJson('tags').$type<string[]>().notNull().default([]),
    session: cleanText('session'),
    requestedModel: cleanText('requested_model').notNull(),
    routed: boolean('routed').notNull(),
    model: cleanText('model').notNull(),
    executedModel: cleanText('executed_model'),
    reason: text('reason').notNull(),
    propensity: doublePrecision('propensity').notNull(),
    explored: boolean('explored').notNull(),
    floor: doublePrecision('floor').notNull(),
    distribution: exactJson('distribution').$type<{ model: string; probability: number }[]>().notNull(),
    /**
     * Where `candidates` holds all of it: what was forecast of the model that answered alone, which is what the database's
     * own sums read. `distribution` is empty then. Both are read by candidates.ts.
     */
    ranked: exactJson('ranked').notNull(),
    filtered: exactJson('filtered').$type<{ model: string; reason: string }[]>().notNull(),
    facts: exactJson('facts').$type<object>().notNull(),
    difficulty: doublePrecision('difficulty'),
    outOfDomain: doublePrecision('out_of_domain'),
    artifact: text('artifact'),
    encoderId: text('encoder_id'),
    embedding: vector('embedding'),
    priceDate: text('price_date').notNull(),
    baselineModel: cleanText('baseline_model'),
    baselineCostUsd: doublePrecision('baseline_cost_usd'),
    routerMs: doublePrecision('router_ms'),
    observed: exactJson('observed').$type<ObservedChoice>(),
    /** False where nothing was left to chance by rule: no estimate of another policy may rest on the row. */
    explorable: boolean('explorable').notNull().default(true),
    /** Who asked, as a keyed hash: what erasing goes by. */
    endUser: text('end_user'),
    /** The trial of a candidate router that the request was drawn into, and for which side. */
    trial: bigint('trial', { mode: 'number' }),
    arm: text('arm').$type<Arm>(),
    armProbability: doublePrecision('arm_probability'),
    /** What a candidate router in shadow would have done. */
    shadow: exactJson('shadow').$type<ObservedChoice>(),
    /** Probability with which the answer was drawn for an audit, in [0, 1]; null: no audits were made. */
    auditProbability: doublePrecision('audit_probability'),
    audited: boolean('audited').notNull().default(false),
    /** Id of the client key that is kept in the database; null for one of the configuration, and for nobody's. */
    keyId: text('key_id'),
    project: cleanText('project'),
    /** Version of the policy document that the request was under; null: none. */
    policyVersion: bigint('policy_version', { mode: 'number' }),
    /** What guardrails found, by rule and what was done; counts alone. */
    guards: exactJson('guards').$type<GuardHit[]>(),
    /** Answered from the response cache: no provider was called. */
    cached: boolean('cached').notNull().default(false),
    /** `ranked` and `distribution`, packed (candidates.ts); null where those two hold it themselves. */
    candidates: bytes('candidates'),
    /** Hash of the list in `candidate_lists` that it counts by. */
    candidateList: text('candidate_list'),
  },
  (t) => [
    primaryKey({ columns: [t.id, t.createdAt] }),
    index('decisions_created_at').on(t.createdAt),
    index('decisions_team').on(t.tenant, t.createdAt),
    index('decisions_end_user').on(t.tenant, t.endUser),
    index('decisions_session').on(t.tenant, t.session),
  ],
);

/** Names of candidates, once for all decisions among them (candidate-lists.ts). */
export const candidateLists = pgTable('candidate_lists', {
  /** Of the content. */
  hash: text('hash').primaryKey(),
  /** In order: a name, or a pair with the model that it is like. */
  models: exactJson('models').$type<readonly (string | readonly [string, string])[]>().notNull(),
  /** Within an hour of the last decision that was written with it. */
  usedAt: moment('used_at').notNull(),
});

/** Prompt and answer, where a team has chosen to keep them; deleted on a day of their own. */
export const texts = pgTable(
  'texts',
  {
    decisionId: cleanText('decision_id').notNull(),
    createdAt: moment('created_at').notNull(),
    /** Personal data and secrets were masked before it was written. */
    redacted: boolean('redacted').notNull(),
    prompt: cleanText('prompt').notNull(),
    answer: cleanText('answer'),
  },
  (t) => [primaryKey({ columns: [t.decisionId, t.createdAt] }), index('texts_created_at').on(t.createdAt)],
);

/** One row per call to a provider. */
export const attempts = pgTable(
  'attempts',
  {
    id: cleanText('id').notNull(),
    decisionId: cleanText('decision_id').notNull(),
    ordinal: integer('ordinal').notNull(),
    provider: cleanText('provider').notNull(),
    model: cleanText('model').notNull(),
    deployment: cleanText('deployment').notNull().default(''),
    purpose: text('purpose').$type<AttemptRecord['purpose']>().notNull().default('answer'),
    startedAt: moment('started_at').notNull(),
    status: text('status').$type<AttemptRecord['status']>().notNull(),
    httpStatus: integer('http_status'),
    errorCode: cleanText('error_code'),
    inputTokens: count('input_tokens'),
    cachedInputTokens: count('cached_input_tokens'),
    cacheWriteTokens: count('cache_write_tokens'),
    outputTokens: count('output_tokens'),
    reasoningTokens: count('reasoning_tokens'),
    costUsd: doublePrecision('cost_usd'),
    firstByteMs: doublePrecision('first_byte_ms'),
    totalMs: doublePrecision('total_ms').notNull(),
  },
  (t) => [primaryKey({ columns: [t.id, t.startedAt] }), index('attempts_decision_id').on(t.decisionId)],
);

/** What users, checks and judges said of an answer. Append-only. */
export const feedback = pgTable(
  'feedback',
  {
    id: cleanText('id').primaryKey(),
    decisionId: cleanText('decision_id').notNull(),
    score: doublePrecision('score').notNull(),
    source: cleanText('source').notNull(),
    createdAt: moment('created_at').notNull(),
    /** A verdict, a hint read off what the client did next, or the verdict on an answer that was drawn at random. */
    kind: text('kind').$type<FeedbackKind>().notNull().default('verdict'),
    /** How much it counts, in [0, 1]: by the key that gave it. */
    weight: doublePrecision('weight').notNull().default(1),
    /** Whose verdict it is: caps on influence go by them. */
    tenant: cleanText('tenant'),
    key: cleanText('key'),
    label: cleanText('label'),
  },
  (t) => [index('feedback_decision_id').on(t.decisionId), index('feedback_created_at').on(t.createdAt)],
);

/**
 * What one model achieved on one request: feedback brought to one number (learning/outcomes.ts).
 * Derived, so it may be deleted; `firstLabelledAt` says which outcomes an earlier fit had seen.
 */
export const outcomes = pgTable(
  'outcomes',
  {
    decisionId: cleanText('decision_id').notNull(),
    modelId: cleanText('model_id').notNull(),
    quality: doublePrecision('quality').notNull(),
    sources: integer('sources').notNull(),
    /** `hint` where nobody gave a verdict, so that `quality` rests on what the client did next alone. */
    kind: text('kind').$type<OutcomeKind>().notNull().default('verdict'),
    /** How much it counts, in [0, 1]. */
    weight: doublePrecision('weight').notNull().default(1),
    /** The verdict of an audit, which chance alone chose to make; null: none was made. */
    auditQuality: doublePrecision('audit_quality'),
    outputTokens: count('output_tokens'),
    costUsd: doublePrecision('cost_usd'),
    latencyMs: doublePrecision('latency_ms'),
    firstLabelledAt: moment('first_labelled_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.decisionId, t.modelId] })],
);

/** Every verdict on a new artifact, refusals and rollbacks too. Append-only; the last one with an effect counts. */
export const promotions = pgTable('promotions', {
  ordinal: bigint('ordinal', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
  createdAt: moment('created_at').notNull(),
  kind: text('kind').$type<PromotionKind>().notNull(),
  /** The artifact in force after this row; null: the one the gateway was started with. */
  artifact: text('artifact'),
  /** The artifact in force before it; null as above. */
  previous: text('previous'),
  verdict: exactJson('verdict').notNull(),
  /** The job that it came of, which may have been begun twice: its verdict stands once. */
  jobId: text('job_id').unique(),
  /** The artifact on trial from this row on, its share of the requests in [0, 1] and the teams they come from (empty: all). */
  trial: exactJson('trial').$type<TrialTerms>(),
});

/** Which files a promoted artifact consists of, for replicas that do not share a disk. */
export const artifacts = pgTable('artifacts', {
  hash: text('hash').primaryKey(),
  createdAt: moment('created_at').notNull(),
  files: exactJson('files').$type<{ path: string; sha256: string }[]>().notNull(),
  /** Of the hash, by a key that is not in this database; null on rows of an earlier version. */
  signature: text('signature'),
});

/** Their content, once per content: successive artifacts share the encoder. */
export const artifactBlobs = pgTable('artifact_blobs', {
  sha256: text('sha256').primaryKey(),
  content: bytes('content').notNull(),
});

/** Which model a conversation is with, the same for every replica (sessions.ts). */
export const sessions = pgTable(
  'sessions',
  {
    tenant: cleanText('tenant').notNull(),
    session: cleanText('session').notNull(),
    model: cleanText('model').notNull(),
    deployment: cleanText('deployment'),
    prefixTokens: count('prefix_tokens').notNull(),
    locked: cleanText('locked'),
    updatedAt: moment('updated_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenant, t.session] }), index('sessions_updated_at').on(t.updatedAt)],
);

/** What a provider keeps under an id of its own: only where it was made, and for whom, may it be asked for (held-objects.ts). */
export const heldObjects = pgTable(
  'held_objects',
  {
    id: cleanText('id').notNull(),
    kind: cleanText('kind').notNull(),
    tenant: cleanText('tenant').notNull(),
    provider: cleanText('provider').notNull(),
    deployment: cleanText('deployment').notNull(),
    model: cleanText('model'),
    createdAt: moment('created_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenant, t.id] })],
);

/** Deployments that some replica saw fail (deployment-health.ts). */
export const deploymentHealth = pgTable('deployment_health', {
  deployment: cleanText('deployment').primaryKey(),
  failures: integer('failures').notNull(),
  restsUntil: moment('rests_until'),
  updatedAt: moment('updated_at').notNull(),
});

/** Keys of providers, sealed (provider-keys.ts). */
export const providerKeys = pgTable(
  'provider_keys',
  {
    id: text('id').primaryKey(),
    provider: cleanText('provider').notNull(),
    name: cleanText('name').notNull(),
    /** Whose requests it is for; null: everybody's. */
    tenant: cleanText('tenant'),
    weight: doublePrecision('weight').notNull(),
    sealed: text('sealed').notNull(),
    createdAt: moment('created_at').notNull(),
  },
  (t) => [unique('provider_keys_name').on(t.provider, t.name)],
);

/** Work that is done by one process in the background: its state for people; who does it is the queue's business (jobs/). */
export const jobs = pgTable(
  'jobs',
  {
    id: text('id').primaryKey(),
    kind: text('kind').$type<JobKind>().notNull(),
    state: text('state').$type<JobState>().notNull(),
    /** What asked for it: `hand`, `schedule`, `outcomes`, `drift`. */
    reason: text('reason').notNull(),
    options: exactJson('options').notNull(),
    requestedAt: moment('requested_at').notNull(),
    startedAt: moment('started_at'),
    /** Shown by the process that does it; one that stops showing it is taken for dead. */
    heartbeatAt: moment('heartbeat_at'),
    finishedAt: moment('finished_at'),
    /** Times begun. */
    runs: integer('runs').notNull().default(0),
    /** In [0, 1], and what is being done, for people. */
    progress: doublePrecision('progress').notNull().default(0),
    step: text('step'),
    result: exactJson('result'),
    errorCode: text('error_code'),
    errorMessage: text('error_message'),
  },
  (t) => [index('jobs_requested_at').on(t.requestedAt)],
);

/** What learning has spent a day, by purpose, all replicas together. */
export const spending = pgTable(
  'spending',
  {
    /** YYYY-MM-DD, UTC. */
    day: text('day').notNull(),
    purpose: text('purpose').$type<SpendingPurpose>().notNull(),
    usd: doublePrecision('usd').notNull(),
  },
  (t) => [primaryKey({ columns: [t.day, t.purpose] })],
);

/** What was seen to change in the world; open until somebody or a retraining clears it. */
export const alarms = pgTable(
  'alarms',
  {
    ordinal: bigint('ordinal', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
    raisedAt: moment('raised_at').notNull(),
    kind: text('kind').$type<AlarmKind>().notNull(),
    /** The model or deployment it is about; null: all of the traffic. */
    subject: cleanText('subject'),
    /** The artifact that was in force. */
    artifact: text('artifact'),
    /** Numbers, no text of requests. */
    details: exactJson('details').notNull(),
    /** What is taken off the subject's forecasts meanwhile, in quality, and added to their standard deviation. */
    shift: doublePrecision('shift').notNull().default(0),
    widen: doublePrecision('widen').notNull().default(0),
    /** Rows older than this say nothing of the subject any more. */
    changedAt: moment('changed_at'),
    clearedAt: moment('cleared_at'),
  },
  (t) => [index('alarms_raised_at').on(t.raisedAt)],
);

/** Candidates since they were first seen: what a new one may still be tried for. */
export const candidates = pgTable('candidates', {
  model: cleanText('model').primaryKey(),
  firstSeenAt: moment('first_seen_at').notNull(),
  /** Requests that it got by exploration, all replicas together. */
  explored: count('explored').notNull(),
  retiredAt: moment('retired_at'),
});

/** Virtual keys of clients (governance/access). */
export const clientKeys = pgTable(
  'client_keys',
  {
    id: text('id').primaryKey(),
    /** HMAC-SHA-256 of the key, in hex; the key itself is nowhere. */
    digest: text('digest').notNull().unique(),
    /** How `digest` was made: `pm` with this gateway's secret, `litellm` for keys taken over. */
    scheme: text('scheme').notNull(),
    /** Its first characters, to be told apart by. */
    prefix: cleanText('prefix').notNull(),
    name: cleanText('name').notNull(),
    team: cleanText('team').notNull(),
    project: cleanText('project'),
    role: text('role').$type<Role>().notNull(),
    /** What it may do beyond or short of its role; null: what the role may. */
    scopes: exactJson('scopes').$type<string[] | null>(),
    /** As `models`, `tags`, `routing` and `feedbackWeight` of a key of the configuration. */
    settings: exactJson('settings').$type<object>().notNull(),
    createdAt: moment('created_at').notNull(),
    createdBy: cleanText('created_by').notNull(),
    expiresAt: moment('expires_at'),
    revokedAt: moment('revoked_at'),
    /** The key that takes its place, from a rotation on. */
    replacedBy: text('replaced_by'),
    lastUsedAt: moment('last_used_at'),
    /** When anything of the row changed: what replicas ask for. */
    changedAt: moment('changed_at').notNull(),
  },
  (t) => [index('client_keys_changed_at').on(t.changedAt), index('client_keys_team').on(t.team)],
);

/** Teams that were made by people, beside those of the configuration. */
export const teams = pgTable('teams', {
  name: cleanText('name').primaryKey(),
  description: cleanText('description').notNull().default(''),
  projects: exactJson('projects').$type<string[]>().notNull().default([]),
  /** As `teams.NAME` of the configuration, which wins. */
  settings: exactJson('settings').$type<object>().notNull().default({}),
  createdAt: moment('created_at').notNull(),
  archivedAt: moment('archived_at'),
  changedAt: moment('changed_at').notNull(),
});

/** People signed in to the dashboard. */
export const webSessions = pgTable(
  'web_sessions',
  {
    /** SHA-256 of the cookie's value. */
    digest: text('digest').primaryKey(),
    subject: cleanText('subject').notNull(),
    name: cleanText('name').notNull(),
    role: text('role').$type<Role>().notNull(),
    /** Null: all teams. */
    team: cleanText('team'),
    /** The key that it was opened with, and ends with. */
    keyId: text('key_id'),
    createdAt: moment('created_at').notNull(),
    expiresAt: moment('expires_at').notNull(),
    endedAt: moment('ended_at'),
  },
  (t) => [index('web_sessions_expires_at').on(t.expiresAt)],
);

/** Who changed what. Append-only. */
export const auditLog = pgTable(
  'audit_log',
  {
    ordinal: bigint('ordinal', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
    at: moment('at').notNull(),
    actor: cleanText('actor').notNull(),
    /** `key`, `person`, `operator` (command line) or `gateway`. */
    actorKind: text('actor_kind').notNull(),
    /** E.g. `key.create`, `budget.update`. */
    action: text('action').notNull(),
    subject: cleanText('subject').notNull(),
    team: cleanText('team'),
    /** What changed; no secret. */
    details: exactJson('details').notNull(),
    requestId: text('request_id'),
  },
  (t) => [index('audit_log_at').on(t.at), index('audit_log_team').on(t.team)],
);

/** Budgets in USD and limits a minute, made by people, beside those of the configuration (governance/limits). */
export const limits = pgTable('limits', {
  id: text('id').primaryKey(),
  kind: text('kind').$type<LimitKind>().notNull(),
  /** What it holds for: `all`, `team`, `project`, `key`, `model`, `provider` or `tag`, and which. */
  scope: text('scope').$type<LimitScope>().notNull(),
  subject: cleanText('subject').notNull(),
  terms: exactJson('terms').$type<object>().notNull(),
  createdAt: moment('created_at').notNull(),
  createdBy: cleanText('created_by').notNull(),
  changedAt: moment('changed_at').notNull(),
  removedAt: moment('removed_at'),
});

/** What of a limit is used in one of its periods, all replicas together. */
export const limitUse = pgTable(
  'limit_use',
  {
    limit: text('limit_id').notNull(),
    /** Begin of the period, YYYY-MM-DD, YYYY-MM or a minute. */
    period: text('period').notNull(),
    /** Spent and settled. */
    used: doublePrecision('used').notNull().default(0),
    /** Handed to replicas and not settled. */
    leased: doublePrecision('leased').notNull().default(0),
    /** Thresholds that somebody was told of, in percent. */
    told: exactJson('told').$type<number[]>().notNull().default([]),
    updatedAt: moment('updated_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.limit, t.period] })],
);

/** Parts of a limit in the hands of a replica. One that it has not shown life for falls back when it expires. */
export const limitLeases = pgTable(
  'limit_leases',
  {
    id: text('id').primaryKey(),
    limit: text('limit_id').notNull(),
    period: text('period').notNull(),
    replica: text('replica').notNull(),
    granted: doublePrecision('granted').notNull(),
    /** Spent of it, as last told. */
    used: doublePrecision('used').notNull().default(0),
    expiresAt: moment('expires_at').notNull(),
  },
  (t) => [index('limit_leases_limit').on(t.limit, t.period), index('limit_leases_expires_at').on(t.expiresAt)],
);

/** What the requests of a batch's file ask for, model by model, counted as it was uploaded (governance/limits/batches). */
export const batchFiles = pgTable(
  'batch_files',
  {
    tenant: cleanText('tenant').notNull(),
    /** The host's id of it. */
    file: cleanText('file').notNull(),
    asked: exactJson('asked').notNull(),
    createdAt: moment('created_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenant, t.file] }), index('batch_files_created_at').on(t.createdAt)],
);

/** What batches take of budgets: counted as spent in the period in which each was made, with what is set aside until it is settled. */
export const batchReserves = pgTable(
  'batch_reserves',
  {
    id: text('id').primaryKey(),
    tenant: cleanText('tenant').notNull(),
    provider: cleanText('provider').notNull(),
    /** Deployment and credential that it was made with, as of `held_objects`. */
    deployment: cleanText('deployment').notNull(),
    /** The host's id; null: it has not told any. */
    batch: cleanText('batch'),
    /** Who asked, and with which tags: the rules by which it may be looked at. */
    caller: exactJson('caller').$type<object>().notNull(),
    /** What its requests were expected to take, model by model, and at what price. */
    expected: exactJson('expected').notNull(),
    /** What counts of which budgets, USD. */
    holds: exactJson('holds').notNull(),
    createdAt: moment('created_at').notNull(),
    /** When it is over for certain. */
    endsAt: moment('ends_at').notNull(),
    /** When the gateway itself has last looked at it. */
    lookedAt: moment('looked_at').notNull(),
    /** By what: `usage` that its host has told, `forecast`, or `refused`, which costs nothing; null: it is under way. */
    settledBy: text('settled_by').$type<'usage' | 'forecast' | 'refused'>(),
    settledAt: moment('settled_at'),
  },
  (t) => [
    index('batch_reserves_batch').on(t.tenant, t.batch),
    index('batch_reserves_open').on(t.settledAt, t.lookedAt),
  ],
);

/** Versions of the policy document (governance/policies); the last one activated is in force. */
export const policies = pgTable('policies', {
  version: bigint('version', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
  createdAt: moment('created_at').notNull(),
  createdBy: cleanText('created_by').notNull(),
  comment: cleanText('comment').notNull().default(''),
  document: exactJson('document').notNull(),
  sha256: text('sha256').notNull(),
  activatedAt: moment('activated_at'),
  activatedBy: cleanText('activated_by'),
});

/** Answers kept for the same request of the same tenant (governance/cache). */
export const cachedAnswers = pgTable(
  'cached_answers',
  {
    /** A hash of all that matters, keyed by tenant. */
    key: text('key').primaryKey(),
    tenant: cleanText('tenant').notNull(),
    createdAt: moment('created_at').notNull(),
    expiresAt: moment('expires_at').notNull(),
    /** Model, provider, tokens and cost of the answer, and its form. */
    facts: exactJson('facts').$type<object>().notNull(),
    body: bytes('body').notNull(),
  },
  (t) => [index('cached_answers_expires_at').on(t.expiresAt), index('cached_answers_tenant').on(t.tenant)],
);

/** Steps of the histograms of milliseconds: six to a decade from 10 ms on, one below, the last without an end (usage/histogram.ts). */
export const HISTOGRAM_BINS = 28;

const bins = (letter: string) =>
  Object.fromEntries(
    Array.from({ length: HISTOGRAM_BINS }, (_, k) => [`${letter}${k}`, integer(`${letter}${k}`).notNull().default(0)]),
  );

const total = (name: string) => bigint(name, { mode: 'number' }).notNull().default(0);
const amount = (name: string) => doublePrecision(name).notNull().default(0);

/** Sums over requests, as `usage/contract.ts` has them. */
const usageSums = () => ({
  requests: total('requests'),
  routed: total('routed'),
  errors: total('errors'),
  cached: total('cached'),
  guarded: total('guarded'),
  blocked: total('blocked'),
  inputTokens: total('input_tokens'),
  outputTokens: total('output_tokens'),
  costUsd: amount('cost_usd'),
  compared: total('compared'),
  comparedCostUsd: amount('compared_cost_usd'),
  baselineCostUsd: amount('baseline_cost_usd'),
  judged: total('judged'),
  qualitySum: amount('quality_sum'),
  /** Judged answers of which something had been predicted. */
  forecast: total('forecast'),
  predictedSum: amount('predicted_sum'),
  ...bins('h'),
});

/** A piece is three minutes, kept for a day beside the hour that is the sum of its pieces; pages ask for neither it nor its parts. */
const step = () => text('step').$type<'part' | 'piece' | 'hour' | 'day'>().notNull();

/** The log rolled up: an hour, or a day, of everything that it can be asked by. '' is what a row has none of. */
export const usageCells = pgTable(
  'usage_cells',
  {
    step: step(),
    at: moment('at').notNull(),
    team: cleanText('team').notNull(),
    project: cleanText('project').notNull(),
    key: cleanText('key').notNull(),
    /** The model that answered, else the one decided for. */
    model: cleanText('model').notNull(),
    provider: cleanText('provider').notNull(),
    artifact: text('artifact').notNull(),
    surface: cleanText('surface').notNull(),
    reason: text('reason').notNull(),
    ...usageSums(),
  },
  (t) => [
    index('usage_cells_at').on(t.step, t.at, t.team),
    // What two-dimensional questions mostly ask for one of.
    index('usage_cells_model').on(t.model, t.step, t.at),
    index('usage_cells_key').on(t.key, t.step, t.at),
  ],
);

/** The same by team and one more dimension (`all`: by none), which is what most questions need and a hundredth of the rows. */
export const usageSlices = pgTable(
  'usage_slices',
  {
    step: step(),
    at: moment('at').notNull(),
    team: cleanText('team').notNull(),
    dimension: text('dimension').notNull(),
    value: cleanText('value').notNull(),
    ...usageSums(),
  },
  (t) => [index('usage_slices_at').on(t.dimension, t.step, t.at, t.team)],
);

/** Calls upstream, rolled up. `h…` are whole calls that went well, `f…` their first bytes. */
export const usageCalls = pgTable(
  'usage_calls',
  {
    step: step(),
    at: moment('at').notNull(),
    team: cleanText('team').notNull(),
    provider: cleanText('provider').notNull(),
    model: cleanText('model').notNull(),
    deployment: cleanText('deployment').notNull(),
    calls: total('calls'),
    errors: total('errors'),
    cancelled: total('cancelled'),
    ...bins('h'),
    ...bins('f'),
  },
  (t) => [index('usage_calls_at').on(t.step, t.at, t.team)],
);

/** Predicted against judged quality, an hour, in ten bins of the prediction. */
export const usageCalibration = pgTable(
  'usage_calibration',
  {
    at: moment('at').notNull(),
    team: cleanText('team').notNull(),
    artifact: text('artifact').notNull(),
    bin: integer('bin').notNull(),
    judged: total('judged'),
    predictedSum: amount('predicted_sum'),
    observedSum: amount('observed_sum'),
  },
  (t) => [index('usage_calibration_at').on(t.at, t.team)],
);

/** The same of pieces: `usage_calibration` has no steps, and builds before this one read all of it. */
export const usageCalibrationPieces = pgTable(
  'usage_calibration_pieces',
  {
    at: moment('at').notNull(),
    team: cleanText('team').notNull(),
    artifact: text('artifact').notNull(),
    bin: integer('bin').notNull(),
    judged: total('judged'),
    predictedSum: amount('predicted_sum'),
    observedSum: amount('observed_sum'),
  },
  (t) => [index('usage_calibration_pieces_at').on(t.at, t.team)],
);

/**
 * What was written since the last roll-up, by triggers and in the same transaction: nothing is missed, whatever its time
 * and whoever wrote it. Rows are only ever added, and taken away by the roll-up.
 */
export const usageTouched = pgTable('usage_touched', {
  /** An hour of a team that got decisions; null where only the decisions are known. Of `said`: since when they are waited for. */
  at: moment('at'),
  team: text('team'),
  /** Which of the hour's twenty pieces of three minutes, the lowest bit the first; null: not known, so all. */
  pieces: integer('pieces'),
  decisions: text('decisions').array(),
  /** Something was said of these decisions. */
  said: boolean('said').notNull().default(false),
});

/** Hours that are to be rolled up anew; without a team: all teams of the hour. */
export const usagePending = pgTable('usage_pending', {
  at: moment('at').notNull(),
  team: text('team'),
});

/** How far the roll-up is: `rolled` up to when, and `seeded` once with what was there before. */
export const usageState = pgTable('usage_state', {
  name: text('name').primaryKey(),
  at: moment('at').notNull(),
});

/** The newest decision of a team that was deleted for its age: hours up to there are never rolled up anew. */
export const usageKept = pgTable('usage_kept', {
  team: cleanText('team').primaryKey(),
  through: moment('through').notNull(),
});

/** {@link storableText} in all of a JSON value. */
export function storable(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  if (Array.isArray(value)) return value.map(storable);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [storableText(k), storable(v)]));
}

/** A copy of memory, where it has the order of bytes that is stored. */
const IS_LITTLE_ENDIAN = endianness() === 'LE';

export function vectorBytes(values: Float32Array): Uint8Array {
  if (IS_LITTLE_ENDIAN) return new Uint8Array(values.slice().buffer);
  const out = new Uint8Array(values.length * 4);
  const view = new DataView(out.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i]!, true);
  return out;
}

export function vectorOf(raw: Uint8Array): Float32Array {
  const out = new Float32Array(raw.byteLength >> 2);
  const bytes = raw.subarray(0, 4 * out.length);
  if (IS_LITTLE_ENDIAN) {
    new Uint8Array(out.buffer).set(bytes);
    return out;
  }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  for (let i = 0; i < out.length; i++) out[i] = view.getFloat32(4 * i, true);
  return out;
}
