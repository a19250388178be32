/** Answers, streams and errors of hosts, each in its own true shape, all reporting the same use of tokens. */
import { expect } from 'vitest';
import type { Usage } from '../../../server/forward/usage.ts';
import type { ProviderKind } from '../../../server/providers/kind.ts';
import { type ProviderContract, TEXT, type ToldError } from '../../contracts/provider.ts';
import { event } from '../protocols/converse-wire.ts';

/** 120 in, 100 of them cached; 30 out, 10 of them thought, where the host tells. */
export const used = (more: Partial<Usage> = {}): Usage => ({
  inputTokens: 120,
  cachedInputTokens: 100,
  cacheWriteTokens: 0,
  outputTokens: 30,
  reasoningTokens: 10,
  ...more,
});

export const sse = (data: unknown, name?: string): string =>
  `${name === undefined ? '' : `event: ${name}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

const HALVES = [TEXT.slice(0, 6), TEXT.slice(6)] as const;

interface ChatHost {
  readonly kind: ProviderKind;
  readonly address: string;
  readonly model?: string;
  /** Its `usage` object. */
  readonly usage: object;
  readonly read: Usage;
  /** Where a stream's usage stands. Default: in a chunk of its own, when asked for. */
  readonly streamUsage?: 'own chunk' | 'last chunk' | 'x_groq';
  readonly comment?: string;
  readonly errors?: readonly ToldError[];
  readonly more?: Partial<ProviderContract>;
}

export const openAiError = (message: string, type: string, code: string | null = null) => ({
  error: { message, type, param: null, code },
});

/** What hosts that copy OpenAI say. */
export const OPENAI_ERRORS: readonly ToldError[] = [
  {
    status: 429,
    body: openAiError('Rate limit reached', 'requests', 'rate_limit_exceeded'),
    headers: { 'retry-after': '30' },
    message: 'Rate limit reached',
    blame: 'overload',
    code: 'rate_limit_exceeded',
    retryAfter: '30',
  },
  {
    status: 429,
    body: openAiError('You exceeded your current quota', 'insufficient_quota', 'insufficient_quota'),
    message: 'quota',
    blame: 'credential',
  },
  {
    status: 400,
    body: openAiError(
      "This model's maximum context length is 128000 tokens.",
      'invalid_request_error',
      'context_length_exceeded',
    ),
    message: 'maximum context length',
    blame: 'model',
    code: 'context_length_exceeded',
  },
  {
    status: 400,
    body: openAiError('Invalid value', 'invalid_request_error', 'invalid_value'),
    message: 'Invalid value',
    blame: 'request',
    code: 'invalid_value',
  },
  { status: 503, body: 'upstream connect error', message: 'status 503', blame: 'overload' },
];

/** A host that speaks the OpenAI chat protocol. */
export function chatHost(host: ChatHost): ProviderContract {
  const { kind, address, model = 'model-x', usage, read, streamUsage = 'own chunk', comment, more } = host;
  const common = { id: 'cmpl-1', created: 1760000000, model };
  const chunk = (fields: object) => sse({ ...common, object: 'chat.completion.chunk', ...fields });
  const delta = (content: object, finish: string | null = null) => ({
    choices: [{ index: 0, delta: content, finish_reason: finish }],
  });
  const last =
    streamUsage === 'last chunk'
      ? { ...delta({ content: '' }, 'stop'), usage }
      : streamUsage === 'x_groq'
        ? { ...delta({}, 'stop'), x_groq: { id: 'req_1', usage } }
        : delta({}, 'stop');
  return {
    kind,
    model,
    address,
    paths: { whole: '/chat/completions', stream: '/chat/completions' },
    asks(body, stream) {
      expect(body.model).toBe(model);
      const asked = (body.stream_options as { include_usage?: boolean } | undefined)?.include_usage;
      expect(asked).toBe(stream && streamUsage === 'own chunk' ? true : undefined);
    },
    whole: {
      body: {
        ...common,
        object: 'chat.completion',
        choices: [{ index: 0, message: { role: 'assistant', content: TEXT }, finish_reason: 'stop' }],
        usage,
        ...(streamUsage === 'x_groq' && { x_groq: { id: 'req_1' } }),
      },
      usage: read,
    },
    stream: {
      frames: [
        ...(comment === undefined ? [] : [`: ${comment}\n\n`]),
        chunk(delta({ role: 'assistant', content: '' })),
        ...HALVES.map((half) => chunk(delta({ content: half }))),
        chunk(last),
        ...(streamUsage === 'own chunk' ? [chunk({ choices: [], usage })] : []),
        'data: [DONE]\n\n',
      ],
      usage: read,
    },
    errors: host.errors ?? OPENAI_ERRORS,
    refusesKey: (message) => openAiError(message, 'invalid_request_error', 'invalid_api_key'),
    ...more,
  };
}

const anthropicError = (message: string, type: string) => ({
  type: 'error',
  error: { type, message },
  request_id: 'req_1',
});

export const ANTHROPIC_ERRORS: readonly ToldError[] = [
  { status: 529, body: anthropicError('Overloaded', 'overloaded_error'), message: 'Overloaded', blame: 'overload' },
  {
    status: 429,
    body: anthropicError('slow down', 'rate_limit_error'),
    headers: { 'retry-after': '30' },
    message: 'slow down',
    blame: 'overload',
    retryAfter: '30',
  },
  {
    status: 400,
    body: anthropicError('prompt is too long: 210000 tokens > 200000 maximum', 'invalid_request_error'),
    message: 'prompt is too long',
    blame: 'model',
    code: 'context_length_exceeded',
  },
  {
    status: 400,
    body: anthropicError('messages.0: bad', 'invalid_request_error'),
    message: 'messages.0: bad',
    blame: 'request',
  },
  {
    status: 413,
    body: anthropicError('Request exceeds the maximum size', 'request_too_large'),
    message: 'maximum size',
    blame: 'model',
  },
  { status: 403, body: anthropicError('no access', 'permission_error'), message: 'no access', blame: 'model' },
];

/** A host of Anthropic's Messages. @param usage beside the output's tokens */
export function messagesHost(usage: object): Pick<ProviderContract, 'whole' | 'stream' | 'errors' | 'refusesKey'> {
  const output = { output_tokens: 30, output_tokens_details: { thinking_tokens: 10 } };
  const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm', stop_sequence: null };
  const read = used({ cachedInputTokens: 85, cacheWriteTokens: 15 });
  const frames = [
    {
      type: 'message_start',
      message: { ...message, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } },
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'ping' },
    ...HALVES.map((text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: output },
    { type: 'message_stop' },
  ];
  return {
    whole: {
      body: {
        ...message,
        content: [{ type: 'text', text: TEXT }],
        stop_reason: 'end_turn',
        usage: { ...usage, ...output },
      },
      usage: read,
    },
    stream: { frames: frames.map((one) => sse(one, one.type)), usage: read },
    errors: ANTHROPIC_ERRORS,
    refusesKey: (text) => anthropicError(text, 'authentication_error'),
  };
}

const googleError = (code: number, status: string, message: string, details: unknown[] = []) => ({
  error: { code, message, status, ...(details.length > 0 && { details }) },
});

/** Google's Gemini protocol. */
export function geminiHost(): Pick<ProviderContract, 'whole' | 'stream' | 'errors' | 'refusesKey'> {
  const usageMetadata = {
    promptTokenCount: 120,
    cachedContentTokenCount: 100,
    candidatesTokenCount: 20,
    thoughtsTokenCount: 10,
    totalTokenCount: 150,
  };
  const frame = (text: string, finishReason?: string) => ({
    candidates: [{ content: { role: 'model', parts: [{ text }] }, index: 0, ...(finishReason && { finishReason }) }],
    usageMetadata,
    modelVersion: 'm',
    responseId: 'r-1',
  });
  return {
    whole: { body: frame(TEXT, 'STOP'), usage: used() },
    stream: { frames: [sse(frame(HALVES[0])), sse(frame(HALVES[1])), sse(frame('', 'STOP'))], usage: used() },
    errors: [
      {
        status: 429,
        body: googleError(429, 'RESOURCE_EXHAUSTED', 'You exceeded your current quota.', [
          { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34.4s' },
        ]),
        message: 'exceeded your current quota',
        blame: 'overload',
        retryAfter: '34.4',
      },
      {
        status: 400,
        body: googleError(
          400,
          'INVALID_ARGUMENT',
          'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
        ),
        message: 'token count',
        blame: 'model',
        code: 'context_length_exceeded',
      },
      {
        status: 400,
        body: googleError(400, 'INVALID_ARGUMENT', 'Invalid JSON payload received.'),
        message: 'Invalid JSON payload',
        blame: 'request',
      },
      {
        status: 400,
        means: 401,
        body: googleError(400, 'INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.'),
        message: 'API key not valid',
        blame: 'credential',
      },
      {
        status: 503,
        body: googleError(503, 'UNAVAILABLE', 'The model is overloaded.'),
        message: 'overloaded',
        blame: 'overload',
      },
    ],
    refusesKey: (message) => googleError(401, 'UNAUTHENTICATED', message),
  };
}

/** Amazon Bedrock's Converse. */
export function converseHost(): Pick<ProviderContract, 'whole' | 'stream' | 'errors' | 'refusesKey'> {
  const usage = {
    inputTokens: 20,
    outputTokens: 30,
    totalTokens: 150,
    cacheReadInputTokens: 85,
    cacheWriteInputTokens: 15,
  };
  const read = used({ cachedInputTokens: 85, cacheWriteTokens: 15, reasoningTokens: null });
  return {
    whole: {
      body: {
        output: { message: { role: 'assistant', content: [{ text: TEXT }] } },
        stopReason: 'end_turn',
        usage,
        metrics: { latencyMs: 9 },
      },
      usage: read,
    },
    stream: {
      contentType: 'application/vnd.amazon.eventstream',
      frames: [
        event('messageStart', { role: 'assistant' }),
        ...HALVES.map((text) => event('contentBlockDelta', { contentBlockIndex: 0, delta: { text } })),
        event('contentBlockStop', { contentBlockIndex: 0 }),
        event('messageStop', { stopReason: 'end_turn' }),
        event('metadata', { usage, metrics: { latencyMs: 9 } }),
      ],
      usage: read,
    },
    errors: [
      {
        status: 429,
        body: { message: 'Too many requests, please wait.' },
        headers: { 'x-amzn-errortype': 'ThrottlingException' },
        message: 'Too many requests',
        blame: 'overload',
      },
      {
        status: 400,
        body: { message: 'Input is too long for requested model.' },
        headers: { 'x-amzn-errortype': 'ValidationException' },
        message: 'Input is too long',
        blame: 'model',
        code: 'context_length_exceeded',
      },
      {
        status: 400,
        body: { message: 'The provided request is not valid' },
        headers: { 'x-amzn-errortype': 'ValidationException:http://internal.amazon.com/' },
        message: 'not valid',
        blame: 'request',
      },
      {
        status: 403,
        body: { message: 'You do not have access to the model.' },
        headers: { 'x-amzn-errortype': 'AccessDeniedException' },
        message: 'access to the model',
        blame: 'model',
      },
      {
        status: 503,
        body: { message: 'Bedrock is unable to process your request.' },
        message: 'unable to process',
        blame: 'overload',
      },
    ],
    refusesKey: (message) => ({ message }),
  };
}

/** Cohere's second chat API; what it bills is told in the whole answer only, so that both counts are read. */
export function cohereHost(): Pick<ProviderContract, 'whole' | 'stream' | 'errors' | 'refusesKey'> {
  const tokens = { input_tokens: 120, output_tokens: 30 };
  const frames = [
    {
      type: 'message-start',
      id: 'c-1',
      delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } },
    },
    { type: 'content-start', index: 0, delta: { message: { content: { type: 'text', text: '' } } } },
    ...HALVES.map((text) => ({ type: 'content-delta', index: 0, delta: { message: { content: { text } } } })),
    { type: 'content-end', index: 0 },
    { type: 'message-end', delta: { finish_reason: 'COMPLETE', usage: { tokens, cached_tokens: 100 } } },
  ];
  return {
    whole: {
      body: {
        id: 'c-1',
        message: { role: 'assistant', content: [{ type: 'text', text: TEXT }] },
        finish_reason: 'COMPLETE',
        usage: { billed_units: tokens, tokens: { input_tokens: 620, output_tokens: 30 }, cached_tokens: 512 },
      },
      usage: used({ cachedInputTokens: 0, reasoningTokens: null }),
    },
    stream: { frames: frames.map((one) => sse(one, one.type)), usage: used({ reasoningTokens: null }) },
    errors: [
      {
        status: 429,
        body: { id: '1', message: 'You are using a Trial key, which is limited to 10 API calls / minute.' },
        message: 'Trial key',
        blame: 'overload',
      },
      {
        status: 400,
        body: { id: '1', message: 'too many tokens: the total number of tokens cannot exceed 256000' },
        message: 'too many tokens',
        blame: 'model',
        code: 'context_length_exceeded',
      },
      {
        status: 400,
        body: { id: '1', message: 'invalid request: message must be at least 1 token long' },
        message: 'at least 1 token',
        blame: 'request',
      },
      {
        status: 500,
        body: { message: 'internal server error, this has been reported' },
        message: 'internal server error',
        blame: 'overload',
      },
    ],
    refusesKey: (message) => ({ message }),
  };
}
