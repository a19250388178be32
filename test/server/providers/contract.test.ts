/** The contract of `test/contracts/provider.ts`, for every kind of provider there is. */
import { expect, test } from 'vitest';
import { readUsage, type UsageQuirks } from '../../../server/forward/usage.ts';
import { alibaba } from '../../../server/providers/alibaba.ts';
import { anthropic } from '../../../server/providers/anthropic.ts';
import { azure } from '../../../server/providers/azure.ts';
import { bedrock } from '../../../server/providers/bedrock.ts';
import { cerebras } from '../../../server/providers/cerebras.ts';
import { cohere } from '../../../server/providers/cohere.ts';
import { deepseek } from '../../../server/providers/deepseek.ts';
import { fireworks } from '../../../server/providers/fireworks.ts';
import { google } from '../../../server/providers/google.ts';
import { groq } from '../../../server/providers/groq.ts';
import { KINDS } from '../../../server/providers/index.ts';
import { lmstudio } from '../../../server/providers/lmstudio.ts';
import { minimax } from '../../../server/providers/minimax.ts';
import { mistral } from '../../../server/providers/mistral.ts';
import { moonshotai } from '../../../server/providers/moonshotai.ts';
import { ollama } from '../../../server/providers/ollama.ts';
import { openai } from '../../../server/providers/openai.ts';
import { openrouter } from '../../../server/providers/openrouter.ts';
import { together } from '../../../server/providers/together.ts';
import { vertex } from '../../../server/providers/vertex.ts';
import { xai } from '../../../server/providers/xai.ts';
import { zai } from '../../../server/providers/zai.ts';
import { type ProviderContract, testProvider } from '../../contracts/provider.ts';
import {
  chatHost,
  cohereHost,
  converseHost,
  geminiHost,
  messagesHost,
  OPENAI_ERRORS,
  openAiError,
  used,
} from './contract-fixtures.ts';

const tokens = { prompt_tokens: 120, completion_tokens: 30, total_tokens: 150 };
const cached = { prompt_tokens_details: { cached_tokens: 100 } };
const thought = { completion_tokens_details: { reasoning_tokens: 10 } };
const PLAIN = used({ cachedInputTokens: 0, reasoningTokens: null });
const [, , tooLong, , down] = OPENAI_ERRORS;
const claudeUsage = {
  input_tokens: 20,
  cache_read_input_tokens: 85,
  cache_creation_input_tokens: 15,
  cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 5 },
  service_tier: 'standard',
};

const CONTRACTS: readonly ProviderContract[] = [
  chatHost({
    kind: openai,
    model: 'gpt-4.1',
    address: 'https://api.openai.com/v1',
    usage: {
      ...tokens,
      prompt_tokens_details: { cached_tokens: 85, cache_write_tokens: 15, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 10, audio_tokens: 0, accepted_prediction_tokens: 0 },
    },
    read: used({ cachedInputTokens: 85, cacheWriteTokens: 15 }),
  }),
  {
    kind: anthropic,
    model: 'claude-sonnet-4-5',
    address: 'https://api.anthropic.com/v1',
    paths: { whole: '/messages', stream: '/messages' },
    keyHeaders: (key) => ({ 'x-api-key': key }),
    headers: { 'anthropic-version': '2023-06-01' },
    asks: (body, stream) =>
      expect(body).toMatchObject({ model: 'claude-sonnet-4-5', max_tokens: 100, ...(stream && { stream }) }),
    ...messagesHost(claudeUsage),
  },
  {
    kind: google,
    model: 'gemini-2.5-flash',
    address: 'https://generativelanguage.googleapis.com/v1beta',
    paths: {
      whole: '/models/gemini-2.5-flash:generateContent',
      stream: '/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    },
    keyHeaders: (key) => ({ 'x-goog-api-key': key }),
    asks: (body) => expect(body).not.toHaveProperty('model'),
    ...geminiHost(),
  },
  chatHost({
    kind: openrouter,
    model: 'anthropic/claude-x',
    address: 'https://openrouter.ai/api/v1',
    comment: 'OPENROUTER PROCESSING',
    usage: {
      ...tokens,
      cost: 0.01,
      cost_details: {},
      prompt_tokens_details: { cached_tokens: 85, cache_write_tokens: 15 },
      ...thought,
    },
    read: used({ cachedInputTokens: 85, cacheWriteTokens: 15 }),
    errors: [
      {
        status: 402,
        body: { error: { code: 402, message: 'Insufficient credits', metadata: {} } },
        message: 'Insufficient credits',
        blame: 'credential',
      },
      {
        status: 429,
        body: { error: { code: 429, message: 'Provider returned error', metadata: { raw: 'busy' } } },
        message: 'Provider returned error',
        blame: 'overload',
      },
      tooLong!,
      down!,
    ],
  }),
  chatHost({
    kind: groq,
    address: 'https://api.groq.com/openai/v1',
    streamUsage: 'x_groq',
    usage: {
      queue_time: 0.01,
      prompt_time: 0.02,
      completion_time: 0.3,
      total_time: 0.32,
      ...tokens,
      ...cached,
      ...thought,
    },
    read: used(),
    more: {
      errors: [
        ...OPENAI_ERRORS,
        {
          status: 413,
          body: openAiError('Request too large for model', 'tokens', 'rate_limit_exceeded'),
          message: 'Request too large',
          blame: 'model',
        },
      ],
    },
  }),
  chatHost({
    kind: together,
    model: 'meta-llama/Llama-4',
    address: 'https://api.together.xyz/v1',
    usage: tokens,
    read: PLAIN,
  }),
  chatHost({
    kind: fireworks,
    model: 'accounts/fireworks/models/llama-4',
    address: 'https://api.fireworks.ai/inference/v1',
    usage: { ...tokens, ...cached, ...thought },
    read: used(),
    errors: [
      {
        status: 400,
        body: { error: 'the field n is not right' },
        message: 'the field n is not right',
        blame: 'request',
      },
      {
        status: 404,
        body: { error: { message: 'Model not found, inaccessible, and/or not deployed' } },
        message: 'Model not found',
        blame: 'model',
      },
      tooLong!,
      down!,
    ],
  }),
  chatHost({
    kind: deepseek,
    address: 'https://api.deepseek.com',
    comment: 'keep-alive',
    usage: { ...tokens, prompt_cache_hit_tokens: 100, prompt_cache_miss_tokens: 20, ...thought },
    read: used(),
    errors: [
      ...OPENAI_ERRORS,
      {
        status: 402,
        body: openAiError('Insufficient Balance', 'unknown_error', 'invalid_request_error'),
        message: 'Insufficient Balance',
        blame: 'credential',
      },
    ],
  }),
  chatHost({
    kind: mistral,
    address: 'https://api.mistral.ai/v1',
    streamUsage: 'last chunk',
    usage: { ...tokens, num_cached_tokens: 100 },
    read: used({ reasoningTokens: null }),
    errors: [
      {
        status: 429,
        body: {
          object: 'error',
          message: 'Requests rate limit exceeded',
          type: 'rate_limited',
          param: null,
          code: '1300',
        },
        message: 'rate limit exceeded',
        blame: 'overload',
        code: '1300',
      },
      {
        status: 422,
        body: {
          object: 'error',
          message: {
            detail: [
              { type: 'extra_forbidden', loc: ['body', 'foo'], msg: 'Extra inputs are not permitted', input: 1 },
            ],
          },
          type: 'invalid_request_error',
          param: null,
          code: null,
        },
        message: 'foo: Extra inputs are not permitted',
        blame: 'request',
      },
      {
        status: 422,
        body: { detail: [{ type: 'missing', loc: ['body', 'messages'], msg: 'Field required' }] },
        message: 'messages: Field required',
        blame: 'request',
      },
      {
        status: 400,
        body: {
          object: 'error',
          message: 'Prompt contains 140000 tokens, too large for model with 131072 maximum context length',
          type: 'invalid_request_error',
          param: null,
          code: '3051',
        },
        message: 'too large for model',
        blame: 'model',
        code: 'context_length_exceeded',
      },
      down!,
    ],
    more: { refusesKey: (detail) => ({ detail }) },
  }),
  chatHost({
    kind: xai,
    address: 'https://api.x.ai/v1',
    // 120 + 20 + 10: what was thought is counted beside the completion.
    usage: { prompt_tokens: 120, completion_tokens: 20, total_tokens: 150, ...cached, ...thought, num_sources_used: 0 },
    read: used(),
    errors: [
      ...OPENAI_ERRORS,
      {
        status: 400,
        body: { code: 'Client specified an invalid argument', error: 'Invalid request content' },
        message: 'Invalid request content',
        blame: 'request',
        code: 'Client specified an invalid argument',
      },
    ],
    more: { refusesKey: (error) => ({ code: 'invalid-argument', error }) },
  }),
  chatHost({
    kind: moonshotai,
    address: 'https://api.moonshot.ai/v1',
    usage: { ...tokens, cached_tokens: 100, ...thought },
    read: used(),
    errors: [
      ...OPENAI_ERRORS,
      {
        status: 400,
        body: {
          error: {
            message: 'Invalid request: Your request exceeded model token limit: 262144',
            type: 'invalid_request_error',
          },
        },
        message: 'exceeded model token limit',
        blame: 'model',
        code: 'context_length_exceeded',
      },
    ],
  }),
  chatHost({
    kind: cerebras,
    address: 'https://api.cerebras.ai/v1',
    usage: tokens,
    read: PLAIN,
    errors: [
      {
        status: 429,
        body: {
          message: 'Requests per minute limit exceeded',
          type: 'too_many_requests_error',
          param: 'quota',
          code: 'request_quota_exceeded',
        },
        message: 'limit exceeded',
        blame: 'overload',
        code: 'request_quota_exceeded',
      },
      {
        status: 400,
        body: {
          message: 'Please reduce the length of the messages or completion.',
          type: 'invalid_request_error',
          param: 'messages',
          code: 'context_length_exceeded',
        },
        message: 'reduce the length',
        blame: 'model',
        code: 'context_length_exceeded',
      },
      down!,
    ],
    more: {
      refusesKey: (message) => ({ message, type: 'invalid_request_error', param: 'api_key', code: 'wrong_api_key' }),
    },
  }),
  chatHost({
    kind: zai,
    address: 'https://api.z.ai/api/paas/v4',
    usage: { ...tokens, ...cached },
    read: used({ reasoningTokens: null }),
    errors: [
      {
        status: 429,
        body: { error: { code: '1302', message: 'High concurrency usage of this API' } },
        message: 'High concurrency',
        blame: 'overload',
        code: '1302',
      },
      {
        status: 400,
        body: { error: { code: '1210', message: 'Invalid API parameter' } },
        message: 'Invalid API parameter',
        blame: 'request',
        code: '1210',
      },
      down!,
    ],
  }),
  chatHost({
    kind: alibaba,
    address: 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
    usage: {
      ...tokens,
      prompt_tokens_details: {
        cached_tokens: 85,
        cache_creation_input_tokens: 15,
        cache_creation: { ephemeral_5m_input_tokens: 15 },
        cache_type: 'ephemeral',
      },
      ...thought,
    },
    read: used({ cachedInputTokens: 85, cacheWriteTokens: 15 }),
    errors: [
      ...OPENAI_ERRORS,
      {
        status: 400,
        body: openAiError(
          '<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]',
          'invalid_request_error',
          'invalid_parameter_error',
        ),
        message: 'Range of input length',
        blame: 'model',
        code: 'context_length_exceeded',
      },
    ],
  }),
  {
    kind: minimax,
    model: 'MiniMax-M2',
    address: 'https://api.minimax.io',
    as: 'minimax, for clients of chat',
    paths: { whole: '/v1/chat/completions', stream: '/v1/chat/completions' },
    keyHeaders: (key) => ({ authorization: `Bearer ${key}`, 'x-api-key': key }),
    ...(({ whole, stream, errors, refusesKey }) => ({ whole, stream, errors, refusesKey }))(
      chatHost({ kind: minimax, address: '', usage: { ...tokens, ...thought }, read: used({ cachedInputTokens: 0 }) }),
    ),
  },
  {
    kind: minimax,
    as: 'minimax, for clients of Messages',
    surface: 'messages',
    model: 'MiniMax-M2',
    address: 'https://api.minimax.io',
    paths: { whole: '/anthropic/v1/messages', stream: '/anthropic/v1/messages' },
    keyHeaders: (key) => ({ authorization: `Bearer ${key}`, 'x-api-key': key }),
    headers: { 'anthropic-version': '2023-06-01' },
    ...messagesHost(claudeUsage),
  },
  {
    kind: cohere,
    model: 'command-a-03-2025',
    address: 'https://api.cohere.com/v2',
    paths: { whole: '/chat', stream: '/chat' },
    asks: (body, stream) => expect(body).toMatchObject({ model: 'command-a-03-2025', stream }),
    ...cohereHost(),
  },
  {
    ...chatHost({
      kind: azure,
      model: 'our-deployment',
      address: '',
      usage: { ...tokens, ...cached, ...thought },
      read: used(),
    }),
    address: 'https://res.openai.azure.com/openai',
    needs: { AZURE_RESOURCE_NAME: 'res' },
    paths: { whole: '/v1/chat/completions', stream: '/v1/chat/completions' },
    keyHeaders: (key) => ({ 'api-key': key }),
  },
  {
    kind: bedrock,
    model: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
    address: 'https://bedrock-runtime.eu-central-1.amazonaws.com',
    needs: { AWS_REGION: 'eu-central-1' },
    paths: {
      whole: '/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse',
      stream: '/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream',
    },
    asks: (body) => expect(body).not.toHaveProperty('model'),
    ...converseHost(),
  },
  {
    kind: vertex,
    as: 'google-vertex, Gemini',
    model: 'gemini-2.5-flash',
    address: 'https://europe-west1-aiplatform.googleapis.com/v1beta1/projects/proj/locations/europe-west1/publishers',
    needs: { GOOGLE_VERTEX_PROJECT: 'proj', GOOGLE_VERTEX_LOCATION: 'europe-west1' },
    paths: {
      whole: '/google/models/gemini-2.5-flash:generateContent',
      stream: '/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    },
    keyHeaders: (key) => ({ 'x-goog-api-key': key }),
    ...geminiHost(),
  },
  {
    kind: vertex,
    as: 'google-vertex, Claude',
    model: 'claude-sonnet-4-5@20250929',
    address: 'https://aiplatform.googleapis.com/v1beta1/projects/proj/locations/global/publishers',
    needs: { GOOGLE_VERTEX_PROJECT: 'proj' },
    paths: {
      whole: '/anthropic/models/claude-sonnet-4-5@20250929:rawPredict',
      stream: '/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict',
    },
    keyHeaders: (key) => ({ 'x-goog-api-key': key }),
    asks(body) {
      expect(body).toMatchObject({ anthropic_version: 'vertex-2023-10-16', max_tokens: 100 });
      expect(body).not.toHaveProperty('model');
    },
    ...messagesHost(claudeUsage),
  },
  chatHost({ kind: ollama, address: 'http://127.0.0.1:11434/v1', model: 'qwen3:8b', usage: tokens, read: PLAIN }),
  chatHost({
    kind: lmstudio,
    address: 'http://127.0.0.1:1234/v1',
    usage: { ...tokens, ...thought },
    read: used({ cachedInputTokens: 0 }),
    errors: [
      { status: 400, body: { error: 'No models loaded.' }, message: 'No models loaded', blame: 'request' },
      down!,
    ],
  }),
];

for (const contract of CONTRACTS) testProvider(contract);

test('every known kind has its contract', () => {
  expect(new Set(CONTRACTS.map(({ kind }) => kind.name))).toEqual(new Set(KINDS.keys()));
});

test.each([
  ['Mistral, in details', { ...tokens, ...cached }, used({ reasoningTokens: null })],
  [
    'Mistral, in details of another name',
    { ...tokens, prompt_token_details: { cached_tokens: 100 } },
    used({ reasoningTokens: null }),
  ],
  ['Moonshot, in details', { ...tokens, ...cached }, used({ reasoningTokens: null })],
  [
    'DeepSeek, in details and in its own fields',
    { ...tokens, ...cached, prompt_cache_hit_tokens: 100 },
    used({ reasoningTokens: null }),
  ],
  // More cached than there was: 20 + 100.
  [
    'xAI, cached beside the prompt',
    { ...tokens, prompt_tokens: 20, ...cached },
    used({ reasoningTokens: null }),
    { reasoningOutside: true },
  ],
  // What a provider counts twice is not billed twice.
  [
    'written beyond what was not cached',
    { ...tokens, prompt_tokens_details: { cached_tokens: 100, cache_write_tokens: 50 } },
    used({ cacheWriteTokens: 20, reasoningTokens: null }),
  ],
  ['nothing but totals', { total_tokens: 150 }, null],
  ['counts that are none', { prompt_tokens: -1, completion_tokens: 'many' }, null],
])('usage as reported by %s', (_, raw, read, quirks?: UsageQuirks) => {
  expect(readUsage(raw, quirks)).toEqual(read);
});
