/** Options of the loop: what is learned from, tried, judged and kept; part of `schema.ts`. */
import { z } from 'zod';
import { Flag, HttpUrl } from './values.ts';

/** What the log keeps of a request: each keeps what those before it keep. */
export const PRIVACY_MODES = ['facts', 'embeddings', 'redacted', 'text'] as const;
export const PrivacyMode = z.enum(PRIVACY_MODES);
export type PrivacyMode = z.infer<typeof PrivacyMode>;

/** What a key may do. */
export const SCOPES = [
  'call',
  'feedback',
  'feedback:team',
  'export',
  'export:embeddings',
  'erase',
  'learn',
  'usage',
  'manage',
  'admin',
] as const;
export const Scope = z.enum(SCOPES);
export type Scope = z.infer<typeof Scope>;

export const TeamConfig = z.strictObject({
  exploration: Flag.default(false).describe('Its requests may be used to try models that are not the best guess.'),
  canary: Flag.default(true).describe('Its requests may be decided by a router that is on trial.'),
  protected: Flag.default(false).describe('No new router is promoted that would serve this team worse.'),
  privacy: PrivacyMode.optional().describe('What the log keeps of its requests. Default: privacy.mode.'),
  retentionDays: z
    .number()
    .positive()
    .max(36_500)
    .optional()
    .describe('Days that its rows are kept. Default: privacy.retentionDays.'),
});
export type TeamConfig = z.infer<typeof TeamConfig>;

const days = z.number().positive().max(36_500).nullable();

export const PrivacyConfig = z.strictObject({
  mode: PrivacyMode.default('embeddings').describe(
    'What the log keeps of a request. facts: counts and flags alone, from which heads cannot be retrained; embeddings: these too; redacted: also prompt and answer, personal data and secrets masked; text: both as they are.',
  ),
  retentionDays: days.default(null).describe('Days that decisions, calls and feedback are kept; null: for ever.'),
  embeddingDays: days.default(null).describe('Days that embeddings are kept; null: as long as their decision.'),
  textDays: days.default(30).describe('Days that prompts and answers are kept, where they are kept at all.'),
});

export const FeedbackConfig = z.strictObject({
  labels: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_-]{0,49}$/, 'must be lower-case letters, digits, _ and -'),
      z.number().min(0).max(1),
    )
    .default({ good: 1, bad: 0, wrong: 0, incomplete: 0.3, unsafe: 0, off_topic: 0, wrong_format: 0.2 })
    .describe('Labels that feedback may carry in place of a score, and the score that each stands for.'),
  maxPerDecision: z.number().int().min(1).max(1000).default(20).describe('Most verdicts that one decision takes.'),
  hints: Flag.default(true).describe(
    'Take asked again, regenerated, model switched by hand and failed tool calls as weak labels.',
  ),
});

export const ExplorationConfig = z.strictObject({
  budgetUsdPerDay: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe(
      'Most that exploring may cost a day beyond the best guesses, USD, all replicas together; null: no limit.',
    ),
  newcomerShare: z
    .number()
    .min(0)
    .max(0.5)
    .default(0.02)
    .describe('Share of the requests that new candidates get by exploration, all of them together, in [0, 0.5].'),
  newcomerCalls: z
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .default(500)
    .describe('Requests that a new candidate gets by exploration before it counts as known.'),
});

export const AuditConfig = z.strictObject({
  share: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('Share of routed answers that the judge looks at, drawn at random, in [0, 1].'),
  judge: z.string().min(1).optional().describe('The model that judges, as provider/model. It sees prompt and answer.'),
  budgetUsdPerDay: z
    .number()
    .positive()
    .default(1)
    .describe('Most that judging may cost a day, USD, all replicas together.'),
  weight: z
    .number()
    .min(0)
    .max(1)
    .default(0.8)
    .describe('How much a judge’s verdict counts against a person’s, in [0, 1].'),
});

const VerifierName = z.string().regex(/^[a-z][a-z0-9_-]{0,49}$/, 'must be lower-case letters, digits, _ and -');
const common = {
  name: VerifierName.describe('What records call it: its verdicts have the source verifier:NAME.'),
  tags: z.array(z.string().min(1)).optional().describe('Only requests with one of these tags. Default: all.'),
  teams: z.array(z.string().min(1)).optional().describe('Only requests of these teams. Default: all.'),
  named: Flag.default(false).describe(
    'Also requests whose client named the model; the router learns nothing from those.',
  ),
  share: z.number().min(0).max(1).default(1).describe('Share of these requests that it looks at, in [0, 1].'),
  weight: z.number().min(0).max(1).default(1).describe('How much its verdict counts, in [0, 1].'),
};

/** Looks at answers when they are out, and gives a verdict. */
export const VerifierConfig = z.discriminatedUnion('kind', [
  z
    .strictObject({ kind: z.literal('schema'), ...common })
    .describe('The answer follows the request’s own response schema.'),
  z
    .strictObject({ kind: z.literal('tool_calls'), ...common })
    .describe('Tools called are those offered, with arguments that follow their schemas.'),
  z
    .strictObject({
      kind: z.literal('pattern'),
      ...common,
      must: z
        .array(z.string().min(1).max(1000))
        .default([])
        .describe('Patterns (RE2) that the answer must match, each.'),
      mustNot: z.array(z.string().min(1).max(1000)).default([]).describe('Patterns (RE2) that it must not match, any.'),
    })
    .describe('The answer matches patterns, on an engine whose time grows with the text alone.'),
  z
    .strictObject({ kind: z.literal('exact'), ...common })
    .describe('The answer is what the request expects (routing.expected), white space and case aside.'),
  z
    .strictObject({
      kind: z.literal('numeric'),
      ...common,
      tolerance: z.number().nonnegative().default(1e-6).describe('Largest relative difference.'),
    })
    .describe('The last number of the answer is the one that the request expects (routing.expected).'),
  z
    .strictObject({
      kind: z.literal('http'),
      ...common,
      url: HttpUrl.describe('Endpoint of yours; its host must be in egress.allow.'),
    })
    .describe('An HTTP endpoint of yours judges: {score: 0…1} or {ok: boolean}.'),
]);
export type VerifierConfig = z.infer<typeof VerifierConfig>;

export const LearningConfig = z.strictObject({
  everyHours: z
    .number()
    .positive()
    .max(8760)
    .nullable()
    .default(null)
    .describe('Retrain so often, hours; null: not by the clock.'),
  afterOutcomes: z
    .number()
    .int()
    .min(1)
    .max(10_000_000)
    .nullable()
    .default(null)
    .describe('Retrain when so many new judged answers are there; null: not by count.'),
  onDrift: Flag.default(true).describe('Retrain when an alarm says that the world has changed.'),
  encoder: Flag.default(false).describe(
    'Retrain the encoder, too, where prompts are kept (privacy.mode text or redacted).',
  ),
  hints: Flag.default(false).describe(
    'Learn from hints, too, where nobody gave a verdict. A hint only ever says that something went wrong.',
  ),
  halfLifeDays: z
    .number()
    .positive()
    .nullable()
    .default(30)
    .describe('Days after which a judged answer counts half; null: never less.'),
  maxTeamShare: z
    .number()
    .positive()
    .max(1)
    .default(0.5)
    .describe('Most of the weight of all feedback that one of several teams may have, in (0, 1].'),
  maxKeyShare: z.number().positive().max(1).default(0.25).describe('The same for one of several keys.'),
  maxSamples: z
    .number()
    .int()
    .min(1000)
    .max(1_000_000)
    .default(50_000)
    .describe('Newest judged answers that one retraining reads.'),
});

export const ROLLOUT_STARTS = ['shadow', 'canary', 'full'] as const;

export const RolloutConfig = z.strictObject({
  start: z
    .enum(ROLLOUT_STARTS)
    .default('full')
    .describe(
      'Where a router that passed the gate begins: it decides without acting, for a share of the requests, or for all.',
    ),
  trialOnInsufficient: Flag.default(true).describe('Where the log cannot tell, let a canary decide.'),
  shadowDecisions: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(200)
    .describe('Decisions made in the shadow before the canary.'),
  canaryShare: z
    .number()
    .positive()
    .max(0.5)
    .default(0.1)
    .describe('Share of the requests that the router on trial decides, in (0, 0.5].'),
  canaryTeams: z
    .array(z.string().min(1))
    .default([])
    .describe('Teams that the canary takes part of. Default: all that allow it.'),
  canaryOutcomes: z
    .number()
    .int()
    .min(10)
    .max(1_000_000)
    .default(200)
    .describe('Judged answers of the router on trial before it may be promoted.'),
  maxQualityLoss: z
    .number()
    .positive()
    .max(1)
    .default(0.05)
    .describe(
      'A router on trial is promoted once its quality is shown to lie no more than this below the other’s, in (0, 1].',
    ),
  holdback: z
    .number()
    .min(0)
    .max(0.5)
    .default(0)
    .describe(
      'Share of the requests that stay with the router before after a promotion, so that a fall is noticed and rolled back, in [0, 0.5].',
    ),
  maxOutcomes: z
    .number()
    .int()
    .min(20)
    .max(10_000_000)
    .default(5000)
    .describe('Judged answers after which a trial that shows nothing is stopped.'),
});

export const DriftConfig = z.strictObject({
  enabled: Flag.default(true).describe('Watch inputs, forecasts, prices and latencies for change.'),
  webhookUrl: HttpUrl.optional().describe('Told of each alarm by POST; its host must be in egress.allow.'),
});
