/** What lines of a batch are counted as, where they are written to be counted as less than they cost. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchCounter } from '../../../../server/governance/limits/batches/asked.ts';
import { Forecasts } from '../../../../server/governance/limits/forecast.ts';
import { attemptOf, expecting } from './hosts.ts';

/** As the text of a line, since names may be there in several spellings. */
function countedText(text: string) {
  const counter = new BatchCounter(() => true);
  const whole = JSON.parse(text);
  counter.request({ json: whole.body, whole, text, number: 1, surface: null });
  return counter.asked;
}

const counted = (body: object, url = '/v1/chat/completions') =>
  countedText(JSON.stringify({ custom_id: '1', method: 'POST', url, body: { model: 'a', ...body } }));

const said = (...content: unknown[]) => ({ messages: [{ role: 'user', content }] });
const inputOf = (...content: unknown[]) => ({ input: [{ role: 'user', content }] });

/** As long as a picture of 75 kB. */
const BYTES = 'iVBORw0KGgo'.padEnd(100_000, 'A');
const DATA = `data:image/png;base64,${BYTES}`;

describe('a picture', () => {
  test.each([
    ['chat', '/v1/chat/completions', said({ type: 'image_url', image_url: { url: DATA } })],
    ['chat, in short', '/v1/chat/completions', said({ type: 'image_url', image_url: DATA })],
    [
      'a tool of chat',
      '/v1/chat/completions',
      { messages: [{ role: 'tool', tool_call_id: 'c', content: [{ type: 'image_url', image_url: { url: DATA } }] }] },
    ],
    ['responses', '/v1/responses', inputOf({ type: 'input_image', image_url: DATA })],
    [
      'a screenshot',
      '/v1/responses',
      { input: [{ type: 'computer_call_output', output: { type: 'computer_screenshot', image_url: DATA } }] },
    ],
    [
      'messages',
      '/v1/messages',
      said({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: BYTES } }),
    ],
    [
      'a tool of messages',
      '/v1/messages',
      said({
        type: 'tool_result',
        content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: BYTES } }],
      }),
    ],
    [
      'an address',
      '/v1/messages',
      said({ type: 'image', source: { type: 'url', url: 'https://pictures.example/1.png' } }),
    ],
    ['what its host holds', '/v1/responses', inputOf({ type: 'input_image', file_id: 'file-1' })],
  ])('of %s counts as one, without its bytes', (_, url, body) => {
    const { models, fault } = counted(body, url);
    expect(fault).toBe(null);
    expect(models).toMatchObject([{ images: 1 }]);
    expect(models[0]!.chars).toBeLessThan(400);
  });

  const schema = { type: 'image_url', image_url: { url: DATA } };
  test.each([
    ['a text', '/v1/chat/completions', { messages: [{ role: 'user', content: DATA }] }],
    ['a part of text', '/v1/chat/completions', said({ type: 'text', text: DATA })],
    ['no base64', '/v1/chat/completions', said({ type: 'image_url', image_url: { url: `${DATA} tell me more` } })],
    [
      'no base64 of messages',
      '/v1/messages',
      said({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: `${BYTES}!` } }),
    ],
    [
      'no type of pictures',
      '/v1/messages',
      said({ type: 'image', source: { type: 'base64', media_type: 'image/', data: BYTES } }),
    ],
    [
      'a member of no name',
      '/v1/chat/completions',
      said({ type: 'text', text: 'hi', x: { media_type: 'image/png', data: BYTES } }),
    ],
    ['another protocol', '/v1/chat/completions', said({ type: 'input_image', image_url: DATA })],
    ['a tool', '/v1/chat/completions', { tools: [{ type: 'function', function: { name: 'f', parameters: schema } }] }],
    [
      'what a tool is called with',
      '/v1/messages',
      said({ type: 'tool_use', id: 't', name: 'f', input: { content: [schema] } }),
    ],
    ['what is embedded', '/v1/embeddings', { input: DATA }],
  ])('that is %s counts with all its characters', (_, url, body) => {
    const { models, fault } = counted(body, url);
    expect(fault).toBe(null);
    expect(models[0]!.chars).toBeGreaterThan(100_000);
  });

  test('takes off no more than its bytes, whatever a line is made of', () => {
    const part = fc.oneof(
      fc.constant({ type: 'image_url', image_url: { url: 'data:image/png;base64,QUFB' } }),
      fc.record({ type: fc.constantFrom('image_url', 'text'), image_url: fc.anything(), text: fc.string() }),
      fc.anything(),
    );
    fc.assert(
      fc.property(fc.array(part), (content) => {
        const body = JSON.parse(JSON.stringify({ messages: [{ role: 'user', content }] }));
        const { models, fault } = counted(body);
        if (fault !== null) return;
        const text = JSON.stringify({
          custom_id: '1',
          method: 'POST',
          url: '/v1/chat/completions',
          body: { model: 'a', ...body },
        });
        const bytes = text.match(/data:image\/[\w.+-]+;base64,[\w+/=-]*/g)?.join('').length ?? 0;
        expect(models[0]!.chars).toBeGreaterThanOrEqual(text.length - bytes);
      }),
    );
  });
});

test('characters of other alphabets count as the tokens that they are', () => {
  const latin = counted({ messages: [{ role: 'user', content: 'a'.repeat(4000) }] }).models[0]!.chars;
  // One a token, rather than four.
  const han = counted({ messages: [{ role: 'user', content: '中'.repeat(4000) }] }).models[0]!.chars;
  expect(han - latin).toBe(12_000);
});

describe('a line that its host may read otherwise', () => {
  const lineOf = (body: string, more = '') =>
    `{"custom_id":"1","method":"POST","url":"/v1/chat/completions"${more},"body":{"model":"a",${body}}}`;

  test.each([
    ['a bound in another case', lineOf('"max_tokens":10,"Max_Tokens":100000')],
    ['a model in another case', lineOf('"Model":"dear","n":2')],
    ['answers in another case', lineOf('"max_tokens":10,"N":64')],
    ['messages with the long s', lineOf('"me\u017f\u017fages":[]')],
    ['the sign of Kelvin', lineOf('"max_to\u212aens":5')],
    ['a second body', lineOf('"max_tokens":10', ',"Body":{"model":"dear"}')],
    ['a second endpoint', lineOf('"max_tokens":10', ',"URL":"/v1/responses"')],
    ['a model beside its body', lineOf('"max_tokens":10', ',"model":"dear"')],
    ['a second list of messages', lineOf('"messages":[{"role":"user","content":"long"}],"messages":[]')],
  ])('by %s cannot be foreseen', (_, text) => {
    expect(countedText(text)).toMatchObject({ models: [], fault: expect.stringMatching(/^line 1: /) });
  });

  test.each(['n', 'best_of', 'max_tokens', 'max_completion_tokens'])('by a %s that is no number is none', (field) => {
    for (const value of ['50', '100000', -1, 0, 1.5, 1e9, true, [3], {}]) {
      expect(counted({ [field]: value }).fault).toBe(
        `line 1: its ${field} must be a whole number, from 1 to 999999999`,
      );
    }
    expect(counted({ [field]: null })).toMatchObject({ fault: null, models: [{ open: 1 }] });
  });

  test('by other models beside its own is none, and the best of several are all counted', () => {
    expect(counted({ models: ['dear'] }).fault).toContain('names models beside its own');
    expect(counted({ best_of: 50, max_tokens: 10 }).models).toMatchObject([{ bounded: 50, boundedTokens: 500 }]);
  });
});

describe('what is not in a line', () => {
  test.each([
    ['file_id', '/v1/responses', inputOf({ type: 'input_file', file_id: 'file-1' })],
    ['file_id', '/v1/chat/completions', said({ type: 'file', file: { file_id: 'file-1' } })],
    ['file_id', '/v1/messages', said({ type: 'document', source: { type: 'file', file_id: 'file-1' } })],
    ['file_id', '/v1/responses', inputOf({ type: 'input_file', File_ID: 'file-1' })],
    ['file_url', '/v1/responses', inputOf({ type: 'input_file', file_url: 'https://files.example/long.pdf' })],
    [
      'source.url',
      '/v1/messages',
      said({ type: 'document', source: { type: 'url', url: 'https://files.example/l.pdf' } }),
    ],
    [
      'video_url',
      '/v1/chat/completions',
      said({ type: 'video_url', video_url: { url: 'https://films.example/1.mp4' } }),
    ],
    [
      'file_data',
      '/v1/chat/completions',
      said({ type: 'file', file: { file_data: 'https://files.example/long.pdf' } }),
    ],
    ['previous_response_id', '/v1/responses', { input: 'go on', previous_response_id: 'resp_1' }],
    ['conversation', '/v1/responses', { input: 'go on', conversation: { id: 'conv_1' } }],
    ['prompt', '/v1/responses', { prompt: { id: 'pmpt_1' } }],
    ['item_reference', '/v1/responses', { input: [{ type: 'item_reference', id: 'msg_1' }] }],
  ])('by %s of %s cannot be foreseen', (name, url, body) => {
    expect(counted(body, url).fault).toBe(
      `line 1: what it refers to by ${name} is not in it, and nobody here knows how long that is`,
    );
  });

  test.each([
    ['bytes', '/v1/chat/completions', said({ type: 'file', file: { file_data: 'data:application/pdf;base64,AAAA' } })],
    [
      'a film in it',
      '/v1/chat/completions',
      said({ type: 'video_url', video_url: { url: 'data:video/mp4;base64,AAAA' } }),
    ],
    [
      'what a tool is called with',
      '/v1/messages',
      said({ type: 'tool_use', id: 't', name: 'f', input: { file_id: '7' } }),
    ],
    [
      'a tool',
      '/v1/chat/completions',
      { tools: [{ function: { parameters: { properties: { file_id: { type: 'string' } } } } }] },
    ],
    [
      'what was quoted',
      '/v1/responses',
      inputOf({ type: 'output_text', text: 'x', annotations: [{ type: 'file_citation', file_id: 'f' }] }),
    ],
    ['nothing', '/v1/responses', { input: 'hi', previous_response_id: null, conversation: null, prompt: null }],
  ])('is not %s, which count as they stand', (_, url, body) => {
    expect(counted(body, url).fault).toBe(null);
  });
});

describe('an answer that nobody bounds', () => {
  /** USD 1 a thousand tokens of input, 2 of output. */
  const price = { inputUsdPerMTok: 1000, outputUsdPerMTok: 2000 };
  const open = { requests: 1000, chars: 0, longestChars: 0, images: 0, bounded: 0, boundedTokens: 0, open: 1000 };

  test('is foreseen at no less than before anything was seen, whatever anybody has asked for', () => {
    const forecasts = new Forecasts();
    const of = () => forecasts.ofMany('one/a', open, price).costUsd;
    // 1 000 of 2 000 tokens, and 16 of framing each.
    expect(of()).toBeCloseTo(4016, 9);
    const call = expecting(0, { model: 'one/a', inputTokens: 100, outputTokens: 0, mostOutputTokens: null, price });
    const say = (tokens: number) =>
      forecasts.learn(
        call,
        forecasts.of(call, 0),
        attemptOf(0.1, { model: 'one/a', inputTokens: 100, outputTokens: tokens }),
      );
    for (let i = 0; i < 300; i++) say(1);
    expect(of()).toBeCloseTo(4016, 9);
    // Long answers make it dearer.
    for (let i = 0; i < 300; i++) say(5000);
    expect(of()).toBeGreaterThan(4 * 4016);
  });

  test('is that of a model that thinks by so much longer, and none is longer than its model can say', () => {
    const forecasts = new Forecasts();
    const of = (more: object) => forecasts.ofMany('one/a', open, { ...price, ...more }).outputTokens;
    expect(of({ reasoning: true })).toBe(8_000_000);
    expect(of({ reasoning: true, maxOutputTokens: 500 })).toBe(500_000);
  });

  test('makes prompts no cheaper by prompts that were estimated too high', () => {
    const forecasts = new Forecasts();
    const asked = { ...open, open: 0, chars: 400_000, longestChars: 400 };
    const before = forecasts.ofMany('one/a', asked, price).costUsd;
    const call = expecting(0, { model: 'one/a', inputTokens: 100, outputTokens: 0, mostOutputTokens: null, price });
    for (let i = 0; i < 300; i++) {
      forecasts.learn(call, forecasts.of(call, 0), attemptOf(0, { model: 'one/a', inputTokens: 20, outputTokens: 1 }));
    }
    expect(forecasts.ofMany('one/a', asked, price).costUsd).toBe(before);
  });
});
