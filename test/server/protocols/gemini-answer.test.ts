/** Gemini's answers and errors, in its true shapes; Google's own client reads the same replies as a witness. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type GenerateContentResponse, GoogleGenAI } from '@google/genai';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { collect } from '../../../server/protocols/collect.ts';
import type { AnswerEvent } from '../../../server/protocols/conversation.ts';
import { geminiUpstream, retryDelaySeconds } from '../../../server/protocols/gemini/index.ts';
import { NotThisProtocol, ToldError } from '../../../server/protocols/protocol.ts';

const usageMetadata = {
  promptTokenCount: 120,
  cachedContentTokenCount: 64,
  candidatesTokenCount: 30,
  thoughtsTokenCount: 50,
  toolUsePromptTokenCount: 5,
  totalTokenCount: 205,
  promptTokensDetails: [{ modality: 'TEXT', tokenCount: 120 }],
  serviceTier: 'standard',
};
/** 120 + 5 in, 30 + 50 out. */
const USAGE = {
  inputTokens: 125,
  cachedInputTokens: 64,
  cacheWriteTokens: 0,
  outputTokens: 80,
  reasoningTokens: 50,
};

const reply = (parts: unknown[], finishReason: string | undefined = 'STOP', more: object = {}) => ({
  candidates: [{ content: { parts, role: 'model' }, ...(finishReason && { finishReason }), index: 0, ...more }],
  usageMetadata,
  modelVersion: 'gemini-3.1-pro-preview',
  responseId: 'resp-1',
});

const WEATHER = { functionCall: { name: 'weather', args: { city: 'Oslo' }, id: 'k1' }, thoughtSignature: 'c2ln' };

const WHOLE = reply([
  { text: 'They ask for the sky.', thought: true },
  { text: 'I will look.' },
  WEATHER,
  { functionCall: { name: 'clock', args: {} } },
]);

/** The same answer in pieces, its signature of the text in an empty part as Gemini streams it. */
const STREAM = [
  {
    ...reply([{ text: 'They ask ', thought: true }], ''),
    usageMetadata: { promptTokenCount: 120, totalTokenCount: 120 },
  },
  reply([{ text: 'for the sky.', thought: true }], ''),
  reply([{ text: 'I will' }], ''),
  reply([{ text: ' look.' }], ''),
  reply([WEATHER], ''),
  reply([{ functionCall: { name: 'clock', args: {} } }], ''),
  reply([{ text: '' }], 'STOP', { finishMessage: 'Model generated function call(s).' }),
];

const readWhole = (payload: object) => geminiUpstream.readAnswer(payload as Record<string, unknown>, {});
const sse = (payloads: readonly unknown[]) => payloads.map((p) => `data: ${JSON.stringify(p)}\r\n\r\n`).join('');

/** As the gateway does it: bytes, frames, events. */
function readStream(text: string) {
  const framing = geminiUpstream.framing(1_000_000);
  const reader = geminiUpstream.reader({});
  const frames = framing.push(new TextEncoder().encode(text));
  const rest = framing.end();
  const events = [...frames, ...(rest ? [rest] : [])].flatMap((frame) => reader.read(frame));
  return { events, reader, foreign: framing.foreign };
}

describe('an answer', () => {
  test('is read with thoughts, text, calls and what it cost', () => {
    const { id, blocks, finish, usage } = readWhole(WHOLE);
    expect({ id, finish, usage }).toEqual({ id: 'resp-1', finish: 'tool_calls', usage: USAGE });
    expect(blocks).toEqual([
      { type: 'thinking', text: 'They ask for the sky.' },
      { type: 'text', text: 'I will look.' },
      {
        type: 'tool_call',
        id: 'k1',
        name: 'weather',
        arguments: '{"city":"Oslo"}',
        sealed: { by: 'google', data: 'c2ln' },
      },
      { type: 'tool_call', id: expect.stringMatching(/^call_[0-9a-f]{24}$/), name: 'clock', arguments: '{}' },
    ]);
  });

  test('is the same streamed, ids that Gemini left out included', () => {
    const { events, reader } = readStream(sse(STREAM));
    expect(collect(events)).toEqual(readWhole(WHOLE));
    expect(events.filter(({ type }) => type === 'start')).toHaveLength(1);
    expect([reader.complete, reader.closed]).toEqual([true, false]);
  });

  test('ends once, though a host may name the reason on every frame', () => {
    const { events } = readStream(sse([reply([{ text: 'I will' }]), reply([{ text: ' look.' }])]));
    expect(events.filter(({ type }) => type === 'finish')).toEqual([{ type: 'finish', reason: 'stop' }]);
    expect(collect(events).blocks).toEqual([{ type: 'text', text: 'I will look.' }]);
  });

  test('is not complete before a reason came', () => {
    expect(readStream(sse(STREAM.slice(0, -1))).reader.complete).toBe(false);
  });

  test('keeps the signature of a text apart from the thinking before it', () => {
    const text = [
      { text: 'Hm.', thought: true },
      { text: '', thoughtSignature: 'c2ln' },
    ];
    expect(readWhole(reply(text)).blocks).toEqual([
      { type: 'thinking', text: 'Hm.' },
      { type: 'thinking', text: '', sealed: { by: 'google', data: 'c2ln' }, redacted: true },
    ]);
    const thought = [{ text: 'Hm.', thought: true, thoughtSignature: 'c2ln' }, { text: 'Yes.' }];
    expect(readWhole(reply(thought)).blocks).toEqual([
      { type: 'thinking', text: 'Hm.', sealed: { by: 'google', data: 'c2ln' } },
      { type: 'text', text: 'Yes.' },
    ]);
  });

  test('goes back to Gemini as it came', () => {
    const answered = {
      role: 'assistant',
      blocks: readWhole(WHOLE).blocks.filter(({ type }) => type !== 'refusal'),
    } as never;
    const body = geminiUpstream.writeRequest(
      {
        system: [],
        turns: [{ role: 'user', blocks: [{ type: 'text', text: 'The sky?' }] }, answered],
        tools: [],
        stop: [],
        stream: false,
        only: [],
      },
      { model: 'gemini-3-flash', dialect: {}, sampling: true, reasoning: true, maxOutputTokens: undefined },
    ) as { contents: { parts: Record<string, unknown>[] }[] };
    const [, , second] = body.contents[1]!.parts;
    expect(body.contents[1]!.parts.slice(0, 2)).toEqual([{ text: 'I will look.' }, WEATHER]);
    expect(second).toMatchObject({ functionCall: { name: 'clock', args: {} } });
    expect(second).not.toHaveProperty('thoughtSignature');
  });

  test('ends for the reason that Gemini gave', () => {
    const finish = (reason: string) => readWhole(reply([{ text: 'Well' }], reason)).finish;
    expect(finish('STOP')).toBe('stop');
    expect(finish('MAX_TOKENS')).toBe('length');
    for (const reason of ['SAFETY', 'RECITATION', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII']) {
      expect([reason, finish(reason)]).toEqual([reason, 'content_filter']);
    }
    expect(readWhole({ candidates: [{ finishReason: 'SAFETY', index: 0 }], usageMetadata }).blocks).toEqual([]);
    expect(readWhole(reply([WEATHER], 'MAX_TOKENS')).finish).toBe('length');
  });

  test('that failed is told as an error, with what it cost', () => {
    const failed = reply([], 'MALFORMED_FUNCTION_CALL', { finishMessage: 'Malformed function call: f(' });
    const error = {
      message: 'the answer ended with MALFORMED_FUNCTION_CALL: Malformed function call: f(',
      type: 'server_error',
      code: 'malformed_function_call',
      param: null,
    };
    expect(() => readWhole(failed)).toThrow(expect.objectContaining({ name: 'ToldError', error, usage: USAGE }));
    const { events, reader } = readStream(sse([failed]));
    expect(events.at(-1)).toEqual({ type: 'error', error });
    expect(reader.complete).toBe(false);
  });

  test('to a blocked prompt is empty and ended by the content filter', () => {
    const blocked = {
      promptFeedback: { blockReason: 'PROHIBITED_CONTENT' },
      usageMetadata: { promptTokenCount: 9, totalTokenCount: 9 },
      responseId: 'resp-2',
    };
    const usage = { inputTokens: 9, cachedInputTokens: 0, cacheWriteTokens: 0, outputTokens: 0, reasoningTokens: null };
    expect(readWhole(blocked)).toEqual({ id: 'resp-2', blocks: [], finish: 'content_filter', usage });
    const { events, reader } = readStream(sse([blocked]));
    expect(collect(events).finish).toBe('content_filter');
    expect(reader.complete).toBe(true);
  });

  test('counts code, and candidates beyond the first, without showing them', () => {
    const two = reply([{ executableCode: { language: 'PYTHON', code: 'print(1)' } }, { text: 'One.' }]);
    two.candidates.push({ content: { parts: [{ text: 'Uno.' }], role: 'model' }, finishReason: 'STOP', index: 1 });
    const { events } = readStream(sse([two]));
    // print(1), then Uno.
    expect(events.filter(({ type }) => type === 'other')).toEqual([
      { type: 'other', chars: 8 },
      { type: 'other', chars: 4 },
    ]);
    expect(collect(events).blocks).toEqual([{ type: 'text', text: 'One.' }]);
  });

  test('that is something else is not taken for one', () => {
    const not = (payload: object) => expect(() => readWhole(payload), JSON.stringify(payload)).toThrow(NotThisProtocol);
    not({});
    not({ choices: [] });
    not({ candidates: {} });
    not({ candidates: [7] });
    not({ candidates: [{ content: [] }] });
    not({ candidates: [{ content: { parts: {} } }] });
    not(reply(['text']));
    not(reply([{ text: 7 }]));
    not(reply([{ functionCall: { args: {} } }]));
    not(reply([{ functionCall: { name: 'f', args: [] } }]));
    not(reply([{ text: 'unfinished' }], ''));
    const deep = JSON.parse(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`);
    expect(() => readWhole(reply([{ functionCall: { name: 'f', args: deep } }]))).toThrow(/nested too deep/);
    expect(() => readStream('data: {"candidates": [\n\n')).toThrow(NotThisProtocol);
    expect(readStream('<html>gateway</html>\n\n').foreign).toBe(true);
  });
});

describe('errors', () => {
  const body = (code: number, status: string, message: string, details?: unknown[]) =>
    JSON.stringify({ error: { code, message, status, ...(details && { details }) } }, null, 2);
  const read = (text: string) => geminiUpstream.readError(text);
  const QUOTA = body(429, 'RESOURCE_EXHAUSTED', 'Quota exceeded.', [
    { '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [{ quotaId: 'PerMinute' }] },
    { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34.4s' },
  ]);

  test("get OpenAI's types, and the status that they stand for", () => {
    expect(read(QUOTA)).toEqual({
      message: 'Quota exceeded.',
      type: 'rate_limit_error',
      code: 'RESOURCE_EXHAUSTED',
      param: null,
      status: 429,
    });
    expect(read(body(503, 'UNAVAILABLE', 'Overloaded.'))).toMatchObject({ type: 'server_error', status: 503 });
    expect(read(body(404, 'NOT_FOUND', 'No such model.'))).toMatchObject({ type: 'not_found_error', status: 404 });
    expect(read(body(400, 'INVALID_ARGUMENT', 'Bad part.'))).toMatchObject({
      type: 'invalid_request_error',
      code: 'INVALID_ARGUMENT',
    });
  });

  test('are told apart by their words where Google has one status for all', () => {
    const invalid = (message: string) => read(body(400, 'INVALID_ARGUMENT', message));
    expect(
      invalid('The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).'),
    ).toMatchObject({ code: 'context_length_exceeded', type: 'invalid_request_error', status: 400 });
    expect(invalid('API key not valid. Please pass a valid API key.')).toMatchObject({
      code: 'invalid_api_key',
      type: 'authentication_error',
      status: 401,
    });
    expect(invalid('Thinking level MINIMAL is not supported for this model.')).toMatchObject({
      code: 'unsupported_value',
    });
    expect(invalid('Request payload size exceeds the limit: 20971520 bytes.')).toMatchObject({ status: 413 });
  });

  test('are read in a list of one and as a text; what is none is left unread', () => {
    expect(read(`[${QUOTA}]`)).toEqual(read(QUOTA));
    expect(read('{"error":"invalid_grant","error_description":"Bad key."}')?.message).toBe('Bad key.');
    for (const text of ['', 'oops', '[]', 'null', '{"error":{}}', '{"message":"x"}'])
      expect(read(text)).toBeUndefined();
  });

  test('say how long to wait', () => {
    expect(retryDelaySeconds(QUOTA)).toBe(34.4);
    expect(retryDelaySeconds(`[${QUOTA}]`)).toBe(34.4);
    expect(retryDelaySeconds(QUOTA.replace('34.4s', '7s'))).toBe(7);
    for (const text of [QUOTA.replace('34.4s', 'soon'), body(429, 'RESOURCE_EXHAUSTED', 'x'), 'oops', 'null']) {
      expect(retryDelaySeconds(text)).toBeUndefined();
    }
  });

  test('in place of an answer, or of a frame of a stream, are told', () => {
    expect(() => readWhole(JSON.parse(QUOTA))).toThrow(ToldError);
    for (const frame of [JSON.parse(QUOTA), [JSON.parse(QUOTA)]]) {
      const { events, reader } = readStream(sse([STREAM[2], frame]));
      expect(events.at(-1)).toMatchObject({ type: 'error', error: { type: 'rate_limit_error', status: 429 } });
      expect(reader.complete).toBe(false);
    }
  });
});

describe("Google's own client, given the same replies", () => {
  let answer = { status: 200, type: 'application/json', body: '' };
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(answer.status, { 'content-type': answer.type });
    response.end(answer.body);
  });
  let ai: GoogleGenAI;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    ai = new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl } });
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));
  const request = { model: 'gemini-3.1-pro-preview', contents: 'The sky?' };

  /** What the client makes of responses, in our words. */
  function seen(responses: readonly GenerateContentResponse[]) {
    const parts = responses.flatMap((response) => response.candidates?.[0]?.content?.parts ?? []);
    const join = (thought: boolean) =>
      parts.flatMap((part) => (part.text && (part.thought === true) === thought ? [part.text] : [])).join('');
    const last = responses.at(-1)!;
    return {
      id: last.responseId,
      thinking: join(true),
      text: join(false),
      calls: responses.flatMap((response) => response.functionCalls ?? []).map(({ name, args }) => [name, args]),
      total: last.usageMetadata?.totalTokenCount,
      reason: last.candidates?.[0]?.finishReason,
    };
  }
  const ours = (events: readonly AnswerEvent[]) => {
    const { id, blocks, usage } = collect(events);
    const join = (type: string) => blocks.flatMap((b) => (b.type === type && 'text' in b ? [b.text] : [])).join('');
    return {
      id,
      thinking: join('thinking'),
      text: join('text'),
      calls: blocks.flatMap((b) => (b.type === 'tool_call' ? [[b.name, JSON.parse(b.arguments)]] : [])),
      total: usage!.inputTokens + usage!.outputTokens,
      reason: 'STOP',
    };
  };

  test('reads the whole answer as we do', async () => {
    answer = { status: 200, type: 'application/json', body: JSON.stringify(WHOLE) };
    expect(seen([await ai.models.generateContent(request)])).toEqual(ours(readStream(sse([WHOLE])).events));
  });

  test('reads the stream as we do', async () => {
    answer = { status: 200, type: 'text/event-stream', body: sse(STREAM) };
    const responses: GenerateContentResponse[] = [];
    for await (const response of await ai.models.generateContentStream(request)) responses.push(response);
    expect(seen(responses)).toEqual(ours(readStream(answer.body).events));
  });

  test('takes the error for one', async () => {
    const body = '{"error":{"code":404,"message":"No such model.","status":"NOT_FOUND"}}';
    answer = { status: 404, type: 'application/json', body };
    await expect(ai.models.generateContent(request)).rejects.toMatchObject({ name: 'ApiError', status: 404 });
    expect(geminiUpstream.readError(body)?.status).toBe(404);
  });
});

describe('whatever comes', () => {
  const part = fc.oneof(
    fc.record({ text: fc.string(), thought: fc.boolean(), thoughtSignature: fc.string() }, { requiredKeys: [] }),
    fc.record({
      functionCall: fc.record({ name: fc.string(), args: fc.jsonValue(), id: fc.string() }, { requiredKeys: [] }),
    }),
    fc.jsonValue(),
  );
  const response = fc.record(
    {
      candidates: fc.oneof(
        fc.array(
          fc.record(
            {
              content: fc.oneof(fc.record({ parts: fc.array(part) }), fc.jsonValue()),
              finishReason: fc.oneof(fc.constantFrom('STOP', 'MAX_TOKENS', 'OTHER'), fc.jsonValue()),
              index: fc.nat(2),
            },
            { requiredKeys: [] },
          ),
        ),
        fc.jsonValue(),
      ),
      usageMetadata: fc.oneof(fc.constant(usageMetadata), fc.jsonValue()),
      promptFeedback: fc.jsonValue(),
      error: fc.jsonValue(),
      responseId: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );

  test('a frame gives events or is not of this protocol', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(response, fc.jsonValue())), fc.string(), (payloads, garbage) => {
        const reader = geminiUpstream.reader({});
        for (const data of [...payloads.map((payload) => JSON.stringify(payload)), garbage]) {
          try {
            const events = reader.read({ event: '', data });
            expect(events.filter(({ type }) => type === 'finish').length).toBeLessThanOrEqual(1);
            expect(events.slice(0, -1).some(({ type }) => type === 'error')).toBe(false);
          } catch (error) {
            expect(error).toBeInstanceOf(NotThisProtocol);
          }
        }
      }),
    );
  });

  test('a whole answer is read, or refused in one of two ways; an error body never throws', () => {
    fc.assert(
      fc.property(response, fc.oneof(fc.json(), fc.string()), (payload, body) => {
        try {
          expect(readWhole(payload).blocks).toBeInstanceOf(Array);
        } catch (error) {
          expect(error instanceof NotThisProtocol || error instanceof ToldError, String(error)).toBe(true);
        }
        geminiUpstream.readError(body);
        retryDelaySeconds(body);
      }),
    );
  });
});
