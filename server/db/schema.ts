/**
 * The tables, the same on PGlite and PostgreSQL. No foreign keys: rows arrive in
 * batches and from a spool, so feedback may be there before its decision.
 * After a change: `npx drizzle-kit generate` (see README.md).
 */
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
import type { AttemptRecord, ObservedChoice } from './records.ts';

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

/** One row per request answered. */
export const decisions = pgTable(
  'decisions',
  {
    id: cleanText('id').primaryKey(),
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
  },
  (t) => [index('decisions_created_at').on(t.createdAt)],
);

/** One row per call to a provider. */
export const attempts = pgTable(
  'attempts',
  {
    id: cleanText('id').primaryKey(),
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
  (t) => [index('attempts_decision_id').on(t.decisionId)],
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
  },
  (t) => [index('feedback_decision_id').on(t.decisionId)],
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
  kind: text('kind').$type<'promoted' | 'refused' | 'rolled-back'>().notNull(),
  /** The artifact in force after this row; null: the one the gateway was started with. */
  artifact: text('artifact'),
  /** The artifact in force before it; null as above. */
  previous: text('previous'),
  verdict: exactJson('verdict').notNull(),
});

/** Which files a promoted artifact consists of, for replicas that do not share a disk. */
export const artifacts = pgTable('artifacts', {
  hash: text('hash').primaryKey(),
  createdAt: moment('created_at').notNull(),
  files: exactJson('files').$type<{ path: string; sha256: string }[]>().notNull(),
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

/** {@link storableText} in all of a JSON value. */
export function storable(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  if (Array.isArray(value)) return value.map(storable);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [storableText(k), storable(v)]));
}

export function vectorBytes(values: Float32Array): Uint8Array {
  const out = new Uint8Array(values.length * 4);
  const view = new DataView(out.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i]!, true);
  return out;
}

export function vectorOf(raw: Uint8Array): Float32Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  return Float32Array.from({ length: raw.byteLength >> 2 }, (_, i) => view.getFloat32(4 * i, true));
}
