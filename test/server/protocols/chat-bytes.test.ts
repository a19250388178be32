/** Requests and frames on their way to and from a host that speaks the client's protocol: byte by byte, but for what must change. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chatSurface, chatUpstream } from '../../../server/protocols/chat/index.ts';
import type { Dialect, WriteTarget } from '../../../server/protocols/protocol.ts';
import { KINDS } from '../../../server/providers/index.ts';

const target = (dialect: Dialect, more: Partial<WriteTarget> = {}): WriteTarget => ({
  model: 'm',
  dialect,
  sampling: true,
  reasoning: true,
  maxOutputTokens: undefined,
  ...more,
});
function dialectOf(name: string, model = 'm'): Dialect {
  const { dialect } = KINDS.get(name)!;
  return typeof dialect === 'function' ? dialect(model) : (dialect ?? {});
}
const pass = (
  text: string,
  dialect: Dialect,
  { routed = false, ...more }: Partial<WriteTarget> & { routed?: boolean } = {},
) => {
  const json = JSON.parse(text);
  return chatSurface.passRequest(text, json, { target: target(dialect, more), stream: json.stream === true, routed });
};

describe('a request', () => {
  test('of a named model keeps every byte but the model’s name', () => {
    const space = fc.constantFrom('', ' ', '\n  ', '\t');
    const value = fc.oneof(
      fc.constantFrom(
        '12345678901234567890',
        '1.0',
        '-0',
        '1e400',
        '"h\\u00e9"',
        '"\\/"',
        'null',
        '[ 1 , 2 ]',
        '{"a" : {}}',
        '{"cache_control":{"type":"ephemeral"}}',
      ),
      fc.json(),
    );
    const member = fc.tuple(
      fc.constantFrom('seed', 'x', 'user', 'metadata', 'tools', 'max_completion_tokens', '__proto__'),
      value,
    );
    fc.assert(
      fc.property(fc.array(member), fc.array(member), space, space, (before, after, a, b) => {
        const text = (model: string) =>
          `{${a}${[...before, ['model', JSON.stringify(model)], ...after].map(([k, v]) => `${JSON.stringify(k)}${b}:${a}${v}`).join(`${b},${a}`)}${b}}`;
        expect(pass(text('what-the-client-said'), dialectOf('mistral'))).toBe(text('m'));
      }),
    );
  });

  test('that streams asks for usage where a host does not tell it unasked, and keeps the other options', () => {
    const text = '{"model":"x","stream":true,"stream_options":{"include_obfuscation":false}}';
    expect(JSON.parse(pass(text, {})).stream_options).toEqual({ include_obfuscation: false, include_usage: true });
    expect(pass(text, dialectOf('groq'))).toBe(text.replace('"x"', '"m"'));
    expect(pass('{"model":"x","stream":true,"stream_options":{"include_usage":true}}', {})).toBe(
      '{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
    );
    expect(pass('{"model":"x"}', {})).toBe('{"model":"m"}');
  });

  test.each([
    ['openai', { max_tokens: 5 }, { max_completion_tokens: 5 }],
    ['groq', { max_completion_tokens: 5 }, { max_tokens: 5 }],
    ['openai', { max_tokens: 5, max_completion_tokens: 6 }, { max_tokens: 5, max_completion_tokens: 6 }],
    ['mistral', { seed: 3 }, { random_seed: 3 }],
    ['mistral', { seed: 3, random_seed: 4 }, { seed: 3, random_seed: 4 }],
    ['groq', { stream: true, stream_options: { include_usage: true } }, { stream: true }],
  ])('that the router sent to %s is phrased for it: %j', (name, fields, expected) => {
    const got = JSON.parse(pass(JSON.stringify({ model: 'auto', ...fields }), dialectOf(name), { routed: true }));
    expect(got).toEqual({ model: 'm', ...expected });
  });

  test('that the router sent somewhere leaves out what that model would refuse', () => {
    const fields = {
      temperature: 1,
      top_p: 1,
      presence_penalty: 1,
      frequency_penalty: 1,
      reasoning_effort: 'low',
      x: 1,
    };
    const text = JSON.stringify({ model: 'auto', ...fields });
    expect(JSON.parse(pass(text, {}, { routed: true, sampling: false, reasoning: false }))).toEqual({
      model: 'm',
      x: 1,
    });
    expect(JSON.parse(pass(text, {}, { routed: false, sampling: false, reasoning: false }))).toEqual({
      ...fields,
      model: 'm',
    });
  });

  describe('with messages', () => {
    const text = JSON.stringify({
      model: 'auto',
      messages: [
        { role: 'developer', content: 'Brief.' },
        { role: 'user', content: [{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }] },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'call_abc', type: 'function', function: { name: 'f', arguments: '{}' } }],
          reasoning_content: 'Hm.',
          reasoning_details: [
            { type: 'reasoning.text', text: 'Hm.', signature: 'S', format: 'anthropic-claude-v1' },
            { type: 'reasoning.text', text: 'Ha.', signature: 'T', format: 'unknown' },
          ],
        },
        { role: 'tool', tool_call_id: 'call_abc', content: 'ok' },
      ],
    });
    const messagesFor = (name: string, routed: boolean, model?: string) =>
      JSON.parse(pass(text, dialectOf(name, model), { routed })).messages;

    test('gives Mistral ids that it takes, the same in the call and in its result', () => {
      const [, , assistant, tool] = messagesFor('mistral', true);
      expect(tool.tool_call_id).toMatch(/^[a-zA-Z0-9]{9}$/);
      expect(assistant.tool_calls[0].id).toBe(tool.tool_call_id);
      // The client knew whom it asks: its ids are its own business.
      expect(messagesFor('mistral', false)[3].tool_call_id).toBe('call_abc');
    });

    test('calls the system turn what the host calls it, and takes marks out that it does not know', () => {
      expect(messagesFor('groq', true)[0].role).toBe('system');
      expect(messagesFor('openai', true, 'gpt-6-sol')[0].role).toBe('developer');
      expect(messagesFor('groq', true)[1].content).toEqual([{ type: 'text', text: 'Hi' }]);
      expect(messagesFor('alibaba', true)[1].content[0]).toHaveProperty('cache_control');
    });

    test.each([true, false])(
      'keeps reasoning that another maker sealed from whoever cannot read it (routed: %s)',
      (routed) => {
        const ofOpenAi = messagesFor('openai', routed)[2];
        expect(ofOpenAi.reasoning_details).toEqual([
          { type: 'reasoning.text', text: 'Ha.', signature: 'T', format: 'unknown' },
        ]);
        expect(ofOpenAi).not.toHaveProperty('reasoning_content');
        // A host of many makers' models reads them all.
        expect(messagesFor('openrouter', routed)[2].reasoning_details).toHaveLength(2);
      },
    );
  });
});

describe('a frame', () => {
  const reader = () => chatUpstream.reader({});
  const frames = (data: string[], wantsUsage: boolean) => {
    const read = reader();
    return data.map((each) => {
      const frame = { event: '', data: each };
      return chatSurface.passFrame(frame, read.read(frame), { modelId: 'one/a', wantsUsage });
    });
  };

  test('keeps its bytes, but for who answers', () => {
    const data =
      '{"id":"c","model":"x","choices":[{"index":0,"delta":{"content":"h\\u00e9"}}],"created":1.0,"odd":12345678901234567890}';
    expect(frames([data], false)).toEqual([`data: ${data.replace('"x"', '"one/a"')}\n\n`]);
  });

  test('laid out over several lines is one frame still', () => {
    const [text] = frames(['{"choices":\n[{"index":0,"delta":{"content":"a"}}]}'], false);
    expect(text!.split('\n')).toHaveLength(3);
    expect(JSON.parse(text!.slice(6))).toMatchObject({ model: 'one/a' });
  });

  test.each([
    ['OpenAI’s usage at the end', '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}', false],
    ['usage without a list of choices', '{"usage":{"prompt_tokens":1,"completion_tokens":1}}', false],
    [
      'Azure’s verdict on the prompt, which has no choices',
      '{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}',
      true,
    ],
    [
      'a finish with usage beside it',
      '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}',
      true,
    ],
    ['the end, which is written when all is on record', '[DONE]', false],
  ])('%s', (_, data, reaches) => {
    const first = '{"choices":[{"index":0,"delta":{"content":"a"}}]}';
    expect(frames([first, data], false)[1] !== null).toBe(reaches);
    expect(frames([first, data], true)[1] !== null).toBe(data !== '[DONE]');
  });

  test('may be the first, with nothing but usage in it', () => {
    expect(frames(['{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}'], false)).toEqual([null]);
  });
});

test('a whole answer keeps its bytes, but for who answers', () => {
  expect(chatSurface.passAnswer('{"id":"c", "model":"x","n":1.0,"big":12345678901234567890}', 'one/a')).toBe(
    '{"id":"c", "model":"one/a","n":1.0,"big":12345678901234567890}',
  );
});
