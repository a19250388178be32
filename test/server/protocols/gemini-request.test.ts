/** Requests to Gemini: the same words that Google's own client sends, and the places where the two must differ. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Content,
  FunctionCallingConfigMode,
  type GenerateContentConfig,
  GoogleGenAI,
  ThinkingLevel,
} from '@google/genai';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Block, Conversation, Reasoning, Sealed, Turn } from '../../../server/protocols/conversation.ts';
import { geminiUpstream } from '../../../server/protocols/gemini/index.ts';
import { Untranslatable, type WriteTarget } from '../../../server/protocols/protocol.ts';
import { anyConversation, plainConversation, stringsIn, textsOf } from './arbitrary-conversation.ts';

const GEMINI_3 = 'gemini-3.1-pro-preview';
const GEMINI_2 = 'gemini-2.5-flash';

const target = (model: string, more: Partial<WriteTarget> = {}): WriteTarget => ({
  model,
  dialect: {},
  sampling: true,
  reasoning: true,
  maxOutputTokens: undefined,
  ...more,
});

const ask = (blocks: readonly Block[], more: Partial<Conversation> = {}): Conversation => ({
  system: [],
  turns: [{ role: 'user', blocks }],
  tools: [],
  stop: [],
  stream: false,
  only: [],
  ...more,
});

const say = (text: string): Block => ({ type: 'text', text });
const user = (...blocks: Block[]): Turn => ({ role: 'user', blocks });
const model = (...blocks: Block[]): Turn => ({ role: 'assistant', blocks });
const call = (id: string, name: string, args: string, sealed?: Sealed): Block => ({
  type: 'tool_call',
  id,
  name,
  arguments: args,
  ...(sealed && { sealed }),
});
const result = (callId: string, text: string, isError = false): Block => ({
  type: 'tool_result',
  callId,
  content: [{ type: 'text', text }],
  isError,
});
const google = (data: string): Sealed => ({ by: 'google', data });

const write = (conversation: Conversation, name = GEMINI_3, more: Partial<WriteTarget> = {}) =>
  geminiUpstream.writeRequest(conversation, target(name, more)) as {
    contents: { role: string; parts: Record<string, unknown>[] }[];
    generationConfig?: Record<string, unknown>;
    tools?: { functionDeclarations: Record<string, unknown>[] }[];
    [field: string]: unknown;
  };

const refused = (conversation: Conversation, name = GEMINI_3) => {
  try {
    write(conversation, name);
  } catch (error) {
    if (error instanceof Untranslatable) return error.field;
    throw error;
  }
  return 'written';
};

describe("beside Google's own client", () => {
  let received: unknown;
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    received = JSON.parse(Buffer.concat(pieces).toString());
    response.setHeader('content-type', 'application/json');
    response.end('{"candidates":[]}');
  });
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  /** What the client sends, less what says nothing: a role of the system instruction, an empty configuration. */
  async function sent(name: string, contents: Content[], config: GenerateContentConfig = {}): Promise<unknown> {
    const { port } = server.address() as AddressInfo;
    const ai = new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl: `http://127.0.0.1:${port}` } });
    await ai.models.generateContent({ model: name, contents, config });
    const body = received as { systemInstruction?: { role?: string }; generationConfig?: object };
    delete body.systemInstruction?.role;
    if (Object.keys(body.generationConfig ?? {}).length === 0) delete body.generationConfig;
    return body;
  }

  const PARAMETERS = {
    type: 'object',
    properties: { city: { type: 'string' }, unit: { anyOf: [{ type: 'string' }, { type: 'null' }] } },
    required: ['city'],
    additionalProperties: false,
  };

  test('a system prompt, text and an image are the same', async () => {
    const conversation = ask(
      [say('What is on it?'), { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVBORw0K' } }],
      { system: [{ type: 'text', text: 'Be brief.' }] },
    );
    expect(write(conversation)).toEqual(
      await sent(
        GEMINI_3,
        [
          {
            role: 'user',
            parts: [{ text: 'What is on it?' }, { inlineData: { mimeType: 'image/png', data: 'iVBORw0K' } }],
          },
        ],
        { systemInstruction: 'Be brief.' },
      ),
    );
  });

  test('tools, calls, signatures and results with images are the same', async () => {
    const conversation = ask([], {
      tools: [
        {
          name: 'weather',
          description: 'Weather now',
          parameters: { $schema: 'http://json-schema.org/x', ...PARAMETERS },
        },
        { name: 'clock', parameters: { type: 'object', properties: {} } },
      ],
      toolChoice: { type: 'tool', name: 'weather' },
      turns: [
        user(say('Weather in Oslo and Rome?')),
        model(
          { type: 'thinking', text: 'Two cities.', sealed: google('c2lnLTE=') },
          call('a1', 'weather', '{"city":"Oslo"}', google('c2lnLTI=')),
          call('a2', 'weather', '{"city":"Rome"}'),
        ),
        user(
          {
            type: 'tool_result',
            callId: 'a1',
            content: [
              { type: 'text', text: 'rain' },
              { type: 'image', source: { kind: 'base64', mediaType: 'image/webp', data: 'UklGRg==' } },
            ],
            isError: false,
          },
          result('a2', 'no such city', true),
        ),
      ],
    });
    expect(write(conversation)).toEqual(
      await sent(
        GEMINI_3,
        [
          { role: 'user', parts: [{ text: 'Weather in Oslo and Rome?' }] },
          {
            role: 'model',
            parts: [
              { text: 'Two cities.', thought: true, thoughtSignature: 'c2lnLTE=' },
              {
                functionCall: { id: 'a1', name: 'weather', args: { city: 'Oslo' } },
                thoughtSignature: 'c2lnLTI=',
              },
              { functionCall: { id: 'a2', name: 'weather', args: { city: 'Rome' } } },
            ],
          },
          {
            role: 'user',
            parts: [
              {
                functionResponse: {
                  id: 'a1',
                  name: 'weather',
                  response: { output: 'rain' },
                  parts: [{ inlineData: { mimeType: 'image/webp', data: 'UklGRg==' } }],
                },
              },
              { functionResponse: { id: 'a2', name: 'weather', response: { error: 'no such city' } } },
            ],
          },
        ],
        {
          tools: [
            {
              functionDeclarations: [
                { name: 'weather', description: 'Weather now', parametersJsonSchema: PARAMETERS },
                { name: 'clock' },
              ],
            },
          ],
          toolConfig: {
            functionCallingConfig: { mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ['weather'] },
          },
        },
      ),
    );
  });

  test('every knob, a JSON schema and thinking are the same', async () => {
    const schema = { type: 'object', properties: { answer: { type: 'integer' } }, additionalProperties: false };
    const conversation = ask([say('6 x 7?')], {
      maxOutputTokens: 500,
      temperature: 0.5,
      topP: 0.9,
      topK: 40,
      seed: 7,
      presencePenalty: 0.25,
      frequencyPenalty: 0.75,
      stop: ['END'],
      reasoning: { effort: 'high', visible: true },
      responseFormat: { type: 'json_schema', name: 'answer', schema, strict: true },
    });
    const config: GenerateContentConfig = {
      maxOutputTokens: 500,
      temperature: 0.5,
      topP: 0.9,
      topK: 40,
      seed: 7,
      presencePenalty: 0.25,
      frequencyPenalty: 0.75,
      stopSequences: ['END'],
      responseMimeType: 'application/json',
      responseJsonSchema: schema,
    };
    const contents = [{ role: 'user', parts: [{ text: '6 x 7?' }] }];
    const third = { ...config, thinkingConfig: { thinkingLevel: ThinkingLevel.HIGH, includeThoughts: true } };
    expect(write(conversation)).toEqual(await sent(GEMINI_3, contents, third));
    const second = { ...config, thinkingConfig: { thinkingBudget: 24_576, includeThoughts: true } };
    expect(write(conversation, GEMINI_2)).toEqual(await sent(GEMINI_2, contents, second));
  });
});

describe('signatures', () => {
  const SKIP = 'skip_thought_signature_validator';
  const signatures = (turns: readonly Turn[], name = GEMINI_3) =>
    write(ask([], { turns }), name).contents.flatMap(({ role, parts }) =>
      role === 'model' ? [parts.map(({ thoughtSignature }) => thoughtSignature)] : [],
    );
  const foreign: Sealed = { by: 'anthropic', data: 'theirs' };

  test('a foreign call in the open tool loop gets the stand-in, once for each step and only there', () => {
    const turns = [
      user(say('first task')),
      model(call('a', 'f', '{}')),
      user(result('a', '1')),
      model(say('done')),
      user(say('second task')),
      model({ type: 'thinking', text: 'hm', sealed: foreign }, call('b', 'f', '{}', foreign), call('c', 'f', '{}')),
      user(result('b', '2'), result('c', '3'), say('go on')),
      model(call('d', 'f', '{}', google('mine'))),
      user(result('d', '4')),
    ];
    expect(signatures(turns)).toEqual([[undefined], [undefined], [SKIP, undefined], ['mine']]);
    expect(signatures(turns, GEMINI_2)).toEqual([[undefined], [undefined], [undefined, undefined], ['mine']]);
  });

  test('thinking of other makers, or of none, is not sent', () => {
    const written = write(
      ask([], {
        turns: [
          user(say('hi')),
          model(
            { type: 'thinking', text: 'secret', sealed: foreign },
            { type: 'thinking', text: 'loose' },
            say('hello'),
          ),
          user(say('bye')),
        ],
      }),
    );
    expect(written.contents[1]).toEqual({ role: 'model', parts: [{ text: 'hello' }] });
  });

  test("a text's own signature goes back on it, wherever the client kept it", () => {
    const seal: Block = { type: 'thinking', text: '', sealed: google('sig'), redacted: true };
    const parts = (...blocks: Block[]) =>
      write(ask([], { turns: [user(say('hi')), model(...blocks)] })).contents[1]!.parts;
    expect(parts(say('hello'), seal)).toEqual([{ text: 'hello', thoughtSignature: 'sig' }]);
    expect(parts(seal, say('hello'))).toEqual([{ text: 'hello', thoughtSignature: 'sig' }]);
    expect(parts(seal)).toEqual([{ text: '', thoughtSignature: 'sig' }]);
    expect(parts(say('look'), seal, call('a', 'f', ''))).toEqual([
      { text: 'look' },
      { functionCall: { id: 'a', name: 'f', args: {} }, thoughtSignature: 'sig' },
    ]);
  });
});

describe('what cannot be said as it was', () => {
  test('arguments that are no object are kept under a name', () => {
    const args = (json: string) => {
      const turns = [user(say('x')), model(call('a', 'f', json))];
      return (write(ask([], { turns })).contents[1]!.parts[0] as { functionCall: { args: unknown } }).functionCall.args;
    };
    expect(args('')).toEqual({});
    expect(args('[1]')).toEqual({ input: [1] });
    expect(args('{"a":')).toEqual({ input: '{"a":' });
  });

  test('an older model is shown the images of a tool beside the response', () => {
    const image: Block = { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'AAAA' } };
    const turns = [
      user(say('x')),
      model(call('a', 'f', '{}'), call('b', 'f', '{}')),
      user({ type: 'tool_result', callId: 'a', content: [image], isError: false }, result('b', 'two')),
    ];
    expect(write(ask([], { turns }), GEMINI_2).contents[2]!.parts).toEqual([
      { functionResponse: { id: 'a', name: 'f', response: { output: '' } } },
      { functionResponse: { id: 'b', name: 'f', response: { output: 'two' } } },
      { inlineData: { mimeType: 'image/png', data: 'AAAA' } },
    ]);
  });

  test('only places that Google reads itself are named; all other urls are refused', () => {
    const image = (url: string) => ask([{ type: 'image', source: { kind: 'url', url } }]);
    expect(write(image('gs://bucket/cat.PNG')).contents[0]!.parts).toEqual([
      { fileData: { mimeType: 'image/png', fileUri: 'gs://bucket/cat.PNG' } },
    ]);
    const youtube = 'https://www.youtube.com/watch?v=abc';
    expect(write(image(youtube)).contents[0]!.parts).toEqual([{ fileData: { fileUri: youtube } }]);
    for (const url of [
      'https://example.com/cat.png',
      'http://169.254.169.254/x.png',
      'https://www.youtube.com.example.com/watch?v=abc',
      'https://youtu.be.example.com/abc',
      'https://generativelanguage.googleapis.com@example.com/v1beta/files/a',
      'https://example.com/?https://youtu.be/abc',
      'gs://bucket/unknown',
      'gs:///cat.png',
      'file:///etc/passwd',
    ]) {
      expect([url, refused(image(url))]).toEqual([url, 'messages']);
    }
    expect(refused(ask([{ type: 'file', source: { kind: 'file', fileId: 'file-1' } }]))).toBe('messages');
  });

  test('a reference with words beside it moves into a union of one', () => {
    const parameters = {
      type: 'object',
      properties: { $ref: { $ref: '#/$defs/a', description: 'the first' }, b: { $ref: '#/$defs/a' } },
      $defs: { a: { $schema: 'x', type: 'string' } },
    };
    const written = write(ask([say('x')], { tools: [{ name: 'f', parameters }] }));
    expect(written.tools![0]!.functionDeclarations[0]!.parametersJsonSchema).toEqual({
      type: 'object',
      properties: { $ref: { description: 'the first', anyOf: [{ $ref: '#/$defs/a' }] }, b: { $ref: '#/$defs/a' } },
      $defs: { a: { type: 'string' } },
    });
  });

  test('what Gemini would refuse is refused beforehand, by the name of its field', () => {
    const f = { name: 'f', parameters: { type: 'object' } };
    const hi = [say('hi')];
    const json = { type: 'json' } as const;
    let deep: Record<string, unknown> = {};
    for (let i = 0; i < 20_000; i++) deep = { type: 'array', items: deep };
    expect(refused(ask(hi, { only: ['logprobs', 'n'] }))).toBe('logprobs');
    expect(refused(ask(hi, { stop: ['1', '2', '3', '4', '5', '6'] }))).toBe('stop');
    expect(refused(ask(hi, { toolChoice: { type: 'required' } }))).toBe('tool_choice');
    expect(refused(ask(hi, { tools: [f], toolChoice: { type: 'tool', name: 'g' } }))).toBe('tool_choice');
    expect(refused(ask(hi, { tools: [f], parallelToolCalls: false }))).toBe('parallel_tool_calls');
    expect(refused(ask(hi, { parallelToolCalls: false }))).toBe('written');
    expect(refused(ask(hi, { tools: [f], responseFormat: json }))).toBe('written');
    expect(refused(ask(hi, { tools: [f], responseFormat: json }), GEMINI_2)).toBe('response_format');
    expect(refused(ask(hi, { tools: [f], toolChoice: { type: 'required' }, responseFormat: json }))).toBe(
      'response_format',
    );
    expect(refused(ask(hi, { tools: [{ name: '1st tool', parameters: {} }] }))).toBe('tools');
    expect(refused(ask(hi, { tools: [{ name: 'f', parameters: deep }] }))).toBe('tools');
    expect(refused(ask([say('')]))).toBe('messages');
    expect(refused(ask([result('nobody', 'x')]))).toBe('messages');
  });

  test('strict tools are validated, and Gemma hears the system prompt from the user', () => {
    const strict = { name: 'f', parameters: { type: 'object' }, strict: true };
    expect(write(ask([say('hi')], { tools: [strict] })).toolConfig).toEqual({
      functionCallingConfig: { mode: 'VALIDATED' },
    });
    const written = write(ask([say('hi')], { system: [{ type: 'text', text: 'Be brief.' }] }), 'gemma-3-27b-it');
    expect(written.systemInstruction).toBeUndefined();
    expect(written.contents).toEqual([{ role: 'user', parts: [{ text: 'Be brief.' }, { text: 'hi' }] }]);
  });

  test('sampling is left out where the model takes none, and a long seed is folded into 32 bits', () => {
    const more = { temperature: 1, topK: 3, presencePenalty: 1, seed: 2 ** 32 + 5, maxOutputTokens: 9 };
    const written = write(ask([say('hi')], more), GEMINI_3, { sampling: false });
    expect(written.generationConfig).toEqual({ seed: 5, maxOutputTokens: 9 });
  });
});

test('a wish for reasoning becomes a level or a budget, by the model', () => {
  const config = (name: string, reasoning: Reasoning, reasons = true) =>
    write(ask([say('hi')], { reasoning }), name, { reasoning: reasons }).generationConfig?.thinkingConfig;
  const table: [string, Reasoning, unknown][] = [
    ['gemini-3.5-flash', { effort: 'none' }, { thinkingLevel: 'LOW' }],
    ['gemini-3.5-flash', { effort: 'medium' }, { thinkingLevel: 'MEDIUM' }],
    ['gemini-3-pro-preview', { effort: 'medium' }, { thinkingLevel: 'HIGH' }],
    ['models/gemini-3.1-pro', { budgetTokens: 1024, visible: true }, { thinkingLevel: 'LOW', includeThoughts: true }],
    ['gemini-flash-latest', { budgetTokens: 10_000 }, { thinkingLevel: 'HIGH' }],
    ['gemini-3.5-flash', { enabled: true }, undefined],
    ['gemini-2.5-flash', { effort: 'low' }, { thinkingBudget: 1024 }],
    ['gemini-2.5-flash', { effort: 'max' }, { thinkingBudget: 24_576 }],
    ['gemini-2.5-pro', { effort: 'max' }, { thinkingBudget: 32_768 }],
    ['gemini-2.5-flash', { enabled: false, visible: true }, { thinkingBudget: 0 }],
    ['gemini-2.5-pro', { budgetTokens: 0 }, { thinkingBudget: 128 }],
    ['gemini-2.5-flash-lite', { budgetTokens: 100 }, { thinkingBudget: 512 }],
    ['gemini-2.5-flash-lite', { enabled: true }, { thinkingBudget: -1 }],
    ['gemini-2.5-flash', { visible: true }, { includeThoughts: true }],
    ['gemini-2.0-flash', { effort: 'high' }, undefined],
    ['gemma-3-27b-it', { effort: 'high' }, undefined],
  ];
  for (const [name, reasoning, expected] of table) {
    expect([name, reasoning, config(name, reasoning)]).toEqual([name, reasoning, expected]);
  }
  expect(config('gemini-3.5-flash', { effort: 'high' }, false)).toBeUndefined();
});

describe('whatever a conversation holds', () => {
  const anyModel = fc.constantFrom(GEMINI_3, GEMINI_2, 'gemma-3-27b-it', 'my-tuned-model');

  test('it is written or refused as a whole', () => {
    fc.assert(
      fc.property(anyConversation, anyModel, (conversation, name) => {
        expect(typeof refused(conversation, name)).toBe('string');
      }),
    );
  });

  test('no text is lost, roles take turns, and no part is empty', () => {
    let written = 0;
    fc.assert(
      fc.property(plainConversation, anyModel, (conversation, name) => {
        if (refused(conversation, name) !== 'written') return;
        written++;
        const body = write(conversation, name);
        const strings = stringsIn([body.contents, body.systemInstruction]).join('\n');
        for (const text of textsOf(conversation)) expect(strings).toContain(text);
        body.contents.forEach(({ role, parts }, i) => {
          expect(parts.length).toBeGreaterThan(0);
          expect(role).not.toBe(body.contents[i + 1]?.role);
        });
      }),
      { numRuns: 100 },
    );
    expect(written).toBeGreaterThan(5);
  });
});
