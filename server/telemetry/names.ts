/**
 * Names of attributes and metrics as OpenTelemetry's conventions have them (@opentelemetry/semantic-conventions 1.45.0,
 * its incubating part for `gen_ai.*`; a test compares them). Written down here, since those for generative AI are not
 * stable and the package that has them all is large. `pointsman.*` are ours.
 */
export const ATTRIBUTE = {
  method: 'http.request.method',
  route: 'http.route',
  statusCode: 'http.response.status_code',
  errorType: 'error.type',
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  responseModel: 'gen_ai.response.model',
  stream: 'gen_ai.request.stream',
  timeToFirstChunk: 'gen_ai.response.time_to_first_chunk',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  cacheReadTokens: 'gen_ai.usage.cache_read.input_tokens',
  cacheCreationTokens: 'gen_ai.usage.cache_creation.input_tokens',
  reasoningTokens: 'gen_ai.usage.reasoning.output_tokens',
  tokenType: 'gen_ai.token.type',
} as const;

export const METRIC = {
  clientDuration: 'gen_ai.client.operation.duration',
  clientFirstChunk: 'gen_ai.client.operation.time_to_first_chunk',
  clientTokens: 'gen_ai.client.token.usage',
  serverDuration: 'gen_ai.server.request.duration',
  serverFirstToken: 'gen_ai.server.time_to_first_token',
} as const;

/** Ours. */
export const OWN = {
  decision: 'pointsman.decision.id',
  routed: 'pointsman.routed',
  reason: 'pointsman.reason',
  propensity: 'pointsman.propensity',
  explored: 'pointsman.explored',
  artifact: 'pointsman.artifact',
  team: 'pointsman.team',
  surface: 'pointsman.surface',
  cached: 'pointsman.cached',
  attempts: 'pointsman.attempts',
  costUsd: 'pointsman.cost_usd',
  baselineUsd: 'pointsman.baseline_usd',
  purpose: 'pointsman.attempt.purpose',
  ordinal: 'pointsman.attempt.ordinal',
  deployment: 'pointsman.attempt.deployment',
  attemptStatus: 'pointsman.attempt.status',
  costMetric: 'pointsman.cost',
} as const;

/** Well-known values of `gen_ai.provider.name`; a provider without one goes by its own name. */
const PROVIDERS: Readonly<Record<string, string>> = {
  azure: 'azure.ai.openai',
  bedrock: 'aws.bedrock',
  google: 'gcp.gemini',
  vertex: 'gcp.vertex_ai',
  mistral: 'mistral_ai',
  xai: 'x_ai',
};

export const providerName = (name: string): string => (Object.hasOwn(PROVIDERS, name) ? PROVIDERS[name]! : name);

/** `gen_ai.operation.name`: `chat` and `embeddings` are well known, the others go by the endpoint's name. */
export const operationOf = (surface: string): string =>
  surface === 'responses' || surface === 'messages' ? 'chat' : surface;

/** As the conventions advise. Seconds of a whole call; of a first token; tokens. */
export const DURATION_S = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
export const FIRST_TOKEN_S = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
export const TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];
