/** What the operator may set: every option, its range and its default. The types are these schemas. */
import { z } from 'zod';
import { Knobs } from '../../router/policy/policy.ts';

/** A switch: nothing but a plain yes turns it on, and what is neither yes nor no is refused. */
const Flag = z.union(
  [
    z.boolean(),
    z
      .string()
      .trim()
      .toLowerCase()
      .regex(/^(1|true|yes|on|0|false|no|off)$/)
      .transform((word) => /^(1|true|yes|on)$/.test(word)),
  ],
  'must be true or false (also 1, yes, on, 0, no, off)',
);

const portRule = 'must be a whole number from 0 to 65535';

/** A port as a number or, from the environment, in digits. */
const Port = z.union(
  [
    z.int().min(0).max(65_535),
    z
      .string()
      .refine((text) => /^\s*\d+\s*$/.test(text) && Number(text) <= 65_535, portRule)
      .transform(Number),
  ],
  portRule,
);

/** One key of a provider. Several share the load by weight; each is a deployment of its own, with its own health. */
export const ProviderKey = z.strictObject({
  /** Shown in records and `doctor`, never the key. Default: its number. */
  name: z.string().min(1).optional(),
  apiKey: z.string().optional(),
  apiKeyEnv: z.string().optional(),
  weight: z.number().positive().default(1),
  /** Used only for requests of this tenant; a tenant with keys of its own uses no others. */
  tenant: z.string().min(1).optional(),
});
export type ProviderKey = z.infer<typeof ProviderKey>;

export const ProviderConfig = z.strictObject({
  /** How it is called, where its name is none of the known hosts': `openai-compatible` (default), `anthropic`, `azure`, `bedrock`, `vertex` … */
  type: z.string().min(1).optional(),
  /** Where its API starts, e.g. `https://host/v1`. Known hosts need none. */
  baseUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** The key itself; write `${NAME}` to take it from the environment. */
  apiKey: z.string().optional(),
  /** Name of the environment variable that holds the key. */
  apiKeyEnv: z.string().optional(),
  /** Several keys in place of one. */
  keys: z.array(ProviderKey).min(1).optional(),
  /** Cloud region: bedrock, vertex. Also what data rules go by. */
  region: z.string().min(1).optional(),
  /** vertex: the Google Cloud project. */
  project: z.string().min(1).optional(),
  /** azure: the resource's name, in place of `baseUrl`; and the API's version. */
  resource: z.string().min(1).optional(),
  apiVersion: z.string().min(1).optional(),
  /** bedrock: a profile of the AWS configuration; without it, and without keys, the AWS default chain. */
  profile: z.string().min(1).optional(),
  /** Corporate proxy for this provider; default: HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment. False: none. */
  proxy: z.union([z.url({ protocol: /^https?$/ }), z.literal(false)]).optional(),
  /** More headers to send with every call. */
  headers: z.record(z.string(), z.string()).optional(),
  /** False switches the provider off though its key is there. */
  enabled: Flag.default(true),
});
export type ProviderConfig = z.infer<typeof ProviderConfig>;

const milliseconds = (byDefault: number) => z.number().int().positive().max(86_400_000).default(byDefault);

export const Timeouts = z.strictObject({
  connectMs: milliseconds(10_000),
  /** A stream's first word, from a model that does not reason first. */
  firstByteMs: milliseconds(60_000),
  /** A whole answer that is not streamed, and the first word of a model that reasons before it. */
  answerMs: milliseconds(300_000),
  /** Silence in the middle of a stream. */
  idleMs: milliseconds(60_000),
  /** One request, all attempts together. */
  totalMs: milliseconds(600_000),
  /** What a shutdown waits for answers in flight. */
  shutdownMs: milliseconds(10_000),
});
export type Timeouts = z.infer<typeof Timeouts>;

/** One place where a model can be had. */
export const DeploymentConfig = z.strictObject({
  provider: z.string().min(1),
  /** The model as that provider names it. Default: as in the model's own id. */
  model: z.string().min(1).optional(),
  weight: z.number().positive().default(1),
});
export type DeploymentConfig = z.infer<typeof DeploymentConfig>;

/** Who may call, and how far: a static key. */
export const ClientKey = z.strictObject({
  /** What records call it. */
  name: z.string().min(1).max(100),
  /** The key itself (write `${NAME}`), or its SHA-256 in hex. */
  key: z.string().min(16, 'must be at least 16 characters').optional(),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'must be 64 hex digits')
    .optional(),
  tenant: z.string().min(1).max(100).default('default'),
  /** Models it may use, `*` standing for anything: `openai/*`, `auto`. Default: all. */
  models: z.array(z.string().min(1)).optional(),
  /** Bounds on what its requests may ask of the router: they can narrow these, not widen them. */
  routing: Knobs.pick({ minQuality: true, maxCostUsd: true, dial: true }).partial().optional(),
  /** Tags that its requests always carry. */
  tags: z.array(z.string().min(1).max(100)).default([]),
});
export type ClientKey = z.infer<typeof ClientKey>;

/** Tries before the first byte. */
export const RetryConfig = z.strictObject({
  /** Further tries of a model that was busy or broken, when nothing else may be tried. */
  retries: z.number().int().min(0).max(10).default(2),
  /** First pause, doubled each time, with full jitter; `retry-after` is honoured up to the longest. */
  firstPauseMs: milliseconds(250),
  longestPauseMs: milliseconds(10_000),
  /** Start the next deployment or candidate when no first byte came for so long; the slower one is given up. Null: never. */
  hedgeAfterMs: z.number().int().positive().nullable().default(null),
});

export const SessionConfig = z.strictObject({
  /** Keep a conversation on its model while switching would cost more than it brings. */
  sticky: Flag.default(true),
  /** A pin unused for so long is forgotten. */
  ttlMinutes: z.number().positive().max(100_000).default(60),
  /** Quality that planning turns ask for, in [0, 1]: over `policy.minQuality` where higher. */
  planMinQuality: z.number().min(0).max(1).default(0),
});

/** Decide, but let concrete ids be: what `auto` would have saved, before anybody lets it act. */
export const ObserveConfig = z.strictObject({
  /** Share of requests with a concrete id for which a decision is made in the shadow, in [0, 1]. */
  share: z.number().min(0).max(1).default(0),
});

/** A cheap answer first, checked, and up the list only when the check fails. Not for streams. */
export const EscalationConfig = z.strictObject({
  enabled: Flag.default(false),
  /** Most calls for one request. */
  maxCalls: z.number().int().min(2).max(10).default(3),
  /** Answers whose mean token probability is below this fail the check, where the provider tells it, in [0, 1]. */
  minTokenProbability: z.number().min(0).max(1).default(0),
  /** An HTTP endpoint of yours that judges an answer: `{ok: boolean}`. Behind the egress guard. */
  verifierUrl: z.url({ protocol: /^https?$/ }).optional(),
});

/** Addresses that a request may make the gateway fetch: images for a protocol that wants bytes, verifiers. */
export const EgressConfig = z.strictObject({
  /** Hosts that may be fetched from, `*.example.com` standing for its subdomains. Empty: nothing is ever fetched. */
  allow: z.array(z.string().min(1)).default([]),
  /** Addresses on private networks are refused unless this is set; then only for the hosts above. */
  allowPrivate: Flag.default(false),
  maxBytesMb: z.number().positive().max(100).default(10),
  timeoutMs: milliseconds(10_000),
});

export const GatewayConfig = z.strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  /** 0 takes any free port. */
  port: Port.default(8787),
  /** Listen beyond this machine although callers are not authenticated. */
  allowPublic: Flag.default(false),
  dataDir: z.string().min(1).default('.pointsman'),
  /** PostgreSQL; without it the embedded database in `dataDir`. */
  databaseUrl: z
    .string()
    .regex(
      /^postgres(ql)?:\/\//i,
      'only postgres:// and postgresql:// URLs are supported; leave it out for the embedded database',
    )
    .optional(),
  /** Catalog of candidate models; without it the shipped one. */
  catalog: z.string().min(1).optional(),
  /** Router artifact folder; without it the promoted one, or else the shipped one. */
  artifact: z.string().min(1).optional(),
  /** Where the transformer of the artifact lies, if it has one; without it where it lay when the artifact was trained. */
  encoder: z
    .string()
    .regex(
      /^transformer:./,
      'must be transformer:FOLDER, or transformer:OWNER/NAME for a model of the Hugging Face hub',
    )
    .optional(),
  /** The model savings are counted against; without it the dearest candidate. */
  baseline: z.string().min(1).optional(),
  policy: Knobs.partial().default({}),
  providers: z
    .record(
      z
        .string()
        .regex(/^[a-z0-9][a-z0-9-]*$/, 'a provider’s name holds lower-case letters, digits and - only')
        // Nothing is learned from what goes by the sandbox's name.
        .refine((name) => name !== 'sandbox', 'the name sandbox is taken by the built-in one; choose another'),
      ProviderConfig,
    )
    .default({}),
  /** Models with more deployments than the one that their id names. */
  models: z
    .record(z.string().regex(/^[^/\s]+\/\S+$/, 'must be provider/model'), z.array(DeploymentConfig).min(1))
    .default({}),
  /** Other names for models: `gpt-4o: openai/gpt-6-luna`, `claude-auto: auto`. */
  aliases: z.record(z.string().min(1), z.string().min(1)).default({}),
  /** Who may call. None: everybody who can reach it, which is this machine only unless `allowPublic`. */
  keys: z.array(ClientKey).default([]),
  timeouts: Timeouts.prefault({}),
  retry: RetryConfig.prefault({}),
  sessions: SessionConfig.prefault({}),
  observe: ObserveConfig.prefault({}),
  escalation: EscalationConfig.prefault({}),
  egress: EgressConfig.prefault({}),
  /** More certificate authorities to trust, PEM file; as NODE_EXTRA_CA_CERTS, for upstream calls. */
  caFile: z.string().min(1).optional(),
  /** A stream that has been silent for so long gets a ping, so that nothing in between gives it up. */
  pingMs: milliseconds(15_000),
  /** Largest spool of records on disk while the database is away, MB; beyond it the oldest are dropped, and counted. */
  spoolLimitMb: z.number().positive().max(1_000_000).default(1024),
  /** Most calls upstream for one request. */
  maxAttempts: z.number().int().min(1).max(50).default(8),
  /** Largest request body, MB. */
  bodyLimitMb: z.number().positive().max(1024).default(32),
  /** Largest answer accepted from a provider, MB. */
  answerLimitMb: z.number().positive().max(1024).default(64),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
});
export type GatewayConfig = z.infer<typeof GatewayConfig>;
