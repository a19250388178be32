/** What the operator may set: every option, its range and its default. The types are these schemas. */
import { z } from 'zod';
import { Knobs } from '../../router/policy/policy.ts';
import { AuthMode, OidcConfig } from '../governance/access/config.ts';
import { CacheConfig } from '../governance/cache/config.ts';
import { LimitsConfig } from '../governance/limits/config.ts';
import { PoliciesConfig } from '../governance/policies/config.ts';
import { TelemetryConfig } from '../telemetry/config.ts';
import {
  AuditConfig,
  DriftConfig,
  ExplorationConfig,
  FeedbackConfig,
  LearningConfig,
  PrivacyConfig,
  RolloutConfig,
  Scope,
  TeamConfig,
  VerifierConfig,
} from './loop-schema.ts';
import { Flag, HttpUrl } from './values.ts';

const portRule = 'must be a whole number from 0 to 65535';

/** A port as a number or, from the environment, in digits. */
const Port = z.union(
  [
    z.int(portRule).min(0, portRule).max(65_535, portRule),
    z
      .string()
      .refine((text) => /^\s*\d+\s*$/.test(text) && Number(text) <= 65_535, portRule)
      .transform(Number),
  ],
  portRule,
);

// biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder is what people are to write
const KEY_ITSELF = 'The key itself; write ${NAME} to take it from the environment.';

/** One key of a provider. Several share the load by weight; each is a deployment of its own, with its own health. */
export const ProviderKey = z.strictObject({
  name: z.string().min(1).optional().describe('Shown in records and by doctor, never the key. Default: its number.'),
  apiKey: z.string().optional().describe(KEY_ITSELF),
  apiKeyEnv: z.string().min(1).optional().describe('Name of the environment variable that holds the key.'),
  weight: z.number().positive().default(1).describe('Its share of the calls, against the other keys’ weights.'),
  tenant: z
    .string()
    .min(1)
    .optional()
    .describe('Used only for requests of this tenant; a tenant with keys of its own uses no others.'),
});
export type ProviderKey = z.infer<typeof ProviderKey>;

export const ProviderConfig = z.strictObject({
  type: z
    .string()
    .min(1)
    .optional()
    .describe(
      'How it is called, where its name is none of the known hosts’: the name of one (anthropic, azure, amazon-bedrock …) or openai-compatible, the default.',
    ),
  baseUrl: HttpUrl.optional().describe('Where its API starts, e.g. https://host/v1. Known hosts need none.'),
  apiKey: z.string().optional().describe(KEY_ITSELF),
  apiKeyEnv: z.string().optional().describe('Name of the environment variable that holds the key.'),
  keys: z.array(ProviderKey).min(1).optional().describe('Several keys in place of one.'),
  region: z
    .string()
    .min(1)
    .optional()
    .describe('Cloud region: amazon-bedrock, google-vertex. Also what data rules go by.'),
  project: z.string().min(1).optional().describe('google-vertex: the Google Cloud project.'),
  resource: z.string().min(1).optional().describe('azure: the resource’s name, in place of baseUrl.'),
  apiVersion: z.string().min(1).optional().describe('azure: the API’s version. Default: v1.'),
  profile: z
    .string()
    .min(1)
    .optional()
    .describe(
      'amazon-bedrock: a profile of the AWS configuration; without it, and without keys, the AWS default chain.',
    ),
  proxy: z
    .union([HttpUrl, z.literal(false)], 'must be an http:// or https:// URL, or false')
    .optional()
    .describe(
      'Corporate proxy for this provider; default: HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment. False: none.',
    ),
  headers: z.record(z.string(), z.string()).optional().describe('More headers to send with every call.'),
  enabled: Flag.default(true).describe('False switches the provider off though its key is there.'),
});
export type ProviderConfig = z.infer<typeof ProviderConfig>;

const milliseconds = (byDefault: number) => z.number().int().positive().max(86_400_000).default(byDefault);

/** All in milliseconds. */
export const Timeouts = z.strictObject({
  connectMs: milliseconds(10_000).describe('Until the connection to a provider stands, ms.'),
  firstByteMs: milliseconds(60_000).describe('A stream’s first word, from a model that does not reason first, ms.'),
  answerMs: milliseconds(300_000).describe(
    'A whole answer that is not streamed, and the first word of a model that reasons before it, ms.',
  ),
  idleMs: milliseconds(60_000).describe('Silence in the middle of a stream, ms.'),
  totalMs: milliseconds(600_000).describe('One request, all attempts together, ms.'),
  headersMs: milliseconds(15_000).describe('A client’s headers, from the opening of its connection, ms.'),
  requestMs: milliseconds(300_000).describe('A client’s whole request, body included, ms.'),
  shutdownMs: milliseconds(10_000).describe('What a shutdown waits for answers in flight, ms.'),
});
export type Timeouts = z.infer<typeof Timeouts>;

/** One place where a model can be had. */
export const DeploymentConfig = z.strictObject({
  provider: z.string().min(1).describe('A known host, or a provider of this file.'),
  model: z
    .string()
    .min(1)
    .optional()
    .describe('The model as that provider names it. Default: as in the model’s own id.'),
  weight: z.number().positive().default(1).describe('Its share of the calls, against the other deployments’ weights.'),
});
export type DeploymentConfig = z.infer<typeof DeploymentConfig>;

/** Who may call, and how far: a static key. */
export const ClientKey = z.strictObject({
  name: z.string().min(1).max(100).describe('What records call it.'),
  key: z.string().min(16, 'must be at least 16 characters').optional().describe(KEY_ITSELF),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'must be 64 hex digits')
    .optional()
    .describe('The SHA-256 of the key, in hex, in place of the key.'),
  tenant: z.string().min(1).max(100).default('default').describe('Whose it is: sessions and provider keys go by it.'),
  models: z
    .array(z.string().min(1))
    .optional()
    .describe('Models it may use, * standing for anything: openai/*, auto. Default: all.'),
  routing: Knobs.pick({ minQuality: true, maxCostUsd: true, dial: true })
    .partial()
    .optional()
    .describe('Bounds on what its requests may ask of the router: they can narrow these, not widen them.'),
  tags: z.array(z.string().min(1).max(100)).default([]).describe('Tags that its requests always carry.'),
  project: z.string().min(1).max(100).optional().describe('The project of its team that it is for.'),
  scopes: z
    .array(Scope)
    .default(['call', 'feedback'])
    .describe(
      'What it may do: call models; judge answers of its own, or of its whole team (feedback:team); export its team’s log, with embeddings or without; erase a user of its team; see and steer learning (learn); see usage and decisions of its team (usage); manage keys and budgets of its team (manage), or everything (admin).',
    ),
  feedbackWeight: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('How much its verdicts count, in [0, 1]; 0: they are kept and not learned from.'),
});
export type ClientKey = z.infer<typeof ClientKey>;

/** Tries before the first byte. */
export const RetryConfig = z.strictObject({
  retries: z
    .number()
    .int()
    .min(0)
    .max(10)
    .default(2)
    .describe('Further tries of a model that was busy or broken, when nothing else may be tried.'),
  firstPauseMs: milliseconds(250).describe(
    'First pause, doubled each time, with full jitter; retry-after is honoured up to the longest, ms.',
  ),
  longestPauseMs: milliseconds(10_000).describe('Longest pause between two tries, ms.'),
  hedgeAfterMs: z
    .number()
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe(
      'Start the next deployment or candidate when no first byte came for so long, ms; the slower one is given up. Null: never.',
    ),
});

export const SessionConfig = z.strictObject({
  sticky: Flag.default(true).describe(
    'Keep a conversation on its model while switching would cost more than it brings.',
  ),
  ttlMinutes: z
    .number()
    .positive()
    .max(100_000)
    .default(60)
    .describe('A pin unused for so long is forgotten, minutes.'),
});

/** Decide, but let concrete ids be: what `auto` would have saved, before anybody lets it act. */
export const ObserveConfig = z.strictObject({
  share: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('Share of requests with a concrete id for which a decision is made in the shadow, in [0, 1].'),
});

/** A cheap answer first, checked, and up the list only when the check fails. Not for streams. */
export const EscalationConfig = z.strictObject({
  enabled: Flag.default(false).describe('Answer with the cheaper model first and check the answer. Not for streams.'),
  maxCalls: z.number().int().min(2).max(10).default(3).describe('Most calls for one request.'),
  minTokenProbability: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe(
      'Answers whose mean token probability is below this fail the check, where the provider tells it, in [0, 1].',
    ),
  verifierUrl: HttpUrl.optional().describe(
    'An HTTP endpoint of yours that judges an answer: {ok: boolean}. Its host must be in egress.allow.',
  ),
  falseAccept: z
    .number()
    .min(0)
    .max(1)
    .default(0.2)
    .describe('Share of bad answers that your verifier lets pass: how far a cheaper first try is trusted, in [0, 1].'),
  falseReject: z.number().min(0).max(1).default(0.1).describe('Share of good answers that it rejects, in [0, 1].'),
});

/** Addresses that a request may make the gateway fetch: images for a protocol that wants bytes, verifiers. */
export const EgressConfig = z.strictObject({
  allow: z
    .array(z.string().min(1))
    .default([])
    .describe(
      'Hosts that may be fetched from, *.example.com standing for its subdomains. Empty: nothing is ever fetched.',
    ),
  allowPrivate: Flag.default(false).describe(
    'Addresses on private networks are refused unless this is set; then only for the hosts above.',
  ),
  maxBytesMb: z.number().positive().max(100).default(10).describe('Largest thing fetched, MB.'),
  timeoutMs: milliseconds(10_000).describe('Longest fetch, ms.'),
});

export const GatewayConfig = z.strictObject({
  host: z.string().min(1).default('127.0.0.1').describe('Address to listen on.'),
  port: Port.default(8787).describe('Port to listen on; 0 takes any free one.'),
  allowPublic: Flag.default(false).describe(
    'Something in front keeps strangers out: beyond this machine, too, nobody is asked for a key while there is none.',
  ),
  dataDir: z.string().min(1).default('.pointsman').describe('Embedded database, spool, promoted routers.'),
  databaseUrl: z
    .string()
    .regex(
      /^postgres(ql)?:\/\//i,
      'only postgres:// and postgresql:// URLs are supported; leave it out for the embedded database',
    )
    .optional()
    .describe('PostgreSQL; without it the embedded database in dataDir.'),
  catalog: z
    .string()
    .min(1)
    .optional()
    .describe('Catalog of candidate models, JSON or YAML; without it the shipped one.'),
  artifact: z
    .string()
    .min(1)
    .optional()
    .describe('Router artifact folder; without it the promoted one, or else the shipped one.'),
  encoder: z
    .string()
    .regex(
      /^transformer:./,
      'must be transformer:FOLDER, or transformer:OWNER/NAME for a model of the Hugging Face hub',
    )
    .optional()
    .describe(
      'Where the transformer of the artifact lies, if it has one; without it where it lay when the artifact was trained.',
    ),
  baseline: z
    .string()
    .min(1)
    .optional()
    .describe('The model savings are counted against; without it the dearest candidate.'),
  policy: Knobs.partial().default({}).describe('Knobs of the decision, over the artifact’s own.'),
  providers: z
    .record(
      z
        .string()
        .regex(/^[a-z0-9][a-z0-9-]*$/, 'a provider’s name holds lower-case letters, digits and - only')
        // Nothing is learned from what goes by the sandbox's name.
        .refine((name) => name !== 'sandbox', 'the name sandbox is taken by the built-in one; choose another'),
      ProviderConfig,
    )
    .default({})
    .describe(
      'Where models are called. A known host is on when its key is in the environment; name it here to change more.',
    ),
  models: z
    .record(z.string().regex(/^[^/\s]+\/\S+$/, 'must be provider/model'), z.array(DeploymentConfig).min(1))
    .default({})
    .describe('Models with other deployments than the one that their id names; the list is all there are.'),
  retire: z
    .array(z.string().regex(/^[^/\s]+\/\S+$/, 'must be provider/model'))
    .default([])
    .describe('Models that auto chooses no longer, as provider/model. They can still be called by their names.'),
  aliases: z
    .record(z.string().min(1), z.string().min(1))
    .default({})
    .describe('Other names for models: gpt-4o: openai/gpt-6-luna, claude-auto: auto.'),
  fallbacks: z
    .record(z.string().min(1), z.array(z.string().min(1)).min(1))
    .default({})
    .describe(
      'For an alias: models that may answer in its place, in order, when its own fails before the first word. A concrete id has none.',
    ),
  keys: z
    .array(ClientKey)
    .default([])
    .describe('Who may call, beside keys made with pointsman keys. When a key is asked for: see auth.'),
  timeouts: Timeouts.prefault({}).describe('How long is waited for what, ms.'),
  retry: RetryConfig.prefault({}).describe('Tries before the first byte.'),
  sessions: SessionConfig.prefault({}).describe('Conversations and agents.'),
  observe: ObserveConfig.prefault({}).describe('What auto would have saved, before anybody lets it act.'),
  escalation: EscalationConfig.prefault({}).describe(
    'A cheap answer first, checked, and up the list only when the check fails. Not for streams.',
  ),
  egress: EgressConfig.prefault({}).describe('Addresses that a request may make the gateway fetch. Default: none.'),
  teams: z
    .record(z.string().min(1).max(100), TeamConfig)
    .default({})
    .describe('What holds for the teams (the tenant of a key). A team that is not here explores nothing.'),
  privacy: PrivacyConfig.prefault({}).describe('What the log keeps, and for how long.'),
  feedback: FeedbackConfig.prefault({}).describe('Verdicts on answers.'),
  exploration: ExplorationConfig.prefault({}).describe('Bounds on trying models; how often is policy.exploration.'),
  audit: AuditConfig.prefault({}).describe('A judge that looks at a random sample of the answers.'),
  verifiers: z.array(VerifierConfig).default([]).describe('Checks of answers that are out, for learning.'),
  learning: LearningConfig.prefault({}).describe('When and from what the router is retrained.'),
  rollout: RolloutConfig.prefault({}).describe('How a retrained router comes into force.'),
  drift: DriftConfig.prefault({}).describe('What is watched for change.'),
  auth: AuthMode,
  oidc: OidcConfig.prefault({}).describe('How people sign in to the dashboard, beside by a key (OpenID Connect).'),
  limits: LimitsConfig.prefault({}).describe('Budgets in USD, and rates a minute.'),
  policies: PoliciesConfig.prefault({}).describe('What teams and tags may use, guardrails, caching.'),
  cache: CacheConfig.prefault({}).describe('Answers kept for the very same request, where a policy says so.'),
  telemetry: TelemetryConfig.prefault({}).describe('Traces and metrics for OpenTelemetry.'),
  dashboard: Flag.default(true).describe('Serve the dashboard at /dashboard.'),
  caFile: z
    .string()
    .min(1)
    .optional()
    .describe('More certificate authorities to trust, PEM file; as NODE_EXTRA_CA_CERTS, for upstream calls.'),
  pingMs: milliseconds(15_000).describe(
    'A stream that has been silent for so long gets a ping, so that nothing in between gives it up, ms.',
  ),
  spoolLimitMb: z
    .number()
    .positive()
    .max(1_000_000)
    .default(1024)
    .describe(
      'Largest spool of records on disk while the database is away, MB; beyond it the oldest are dropped, and counted.',
    ),
  maxAttempts: z.number().int().min(1).max(50).default(8).describe('Most calls upstream for one request.'),
  bodyLimitMb: z.number().positive().max(1024).default(32).describe('Largest request body, MB.'),
  answerLimitMb: z.number().positive().max(1024).default(64).describe('Largest answer accepted from a provider, MB.'),
  logLevel: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('Least severe lines to log. The log holds no prompt, no header and no key.'),
});
export type GatewayConfig = z.infer<typeof GatewayConfig>;
