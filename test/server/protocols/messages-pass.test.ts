import { describe, expect, test } from 'vitest';
import { messagesSurface } from '../../../server/protocols/messages/index.ts';
import type { WriteTarget } from '../../../server/protocols/protocol.ts';
import { sealedToText } from '../../../server/protocols/sealed.ts';
import { AGENT_REQUEST, STREAM } from './messages-fixtures.ts';

const PASS = { modelId: 'anthropic/claude', wantsUsage: false };
const target = (model: string, more: Partial<WriteTarget> = {}): WriteTarget => ({
  model,
  dialect: {},
  sampling: true,
  reasoning: true,
  maxOutputTokens: 64000,
  ...more,
});
const pass = (text: string, to = target('claude-sonnet-4-5'), routed = false) => {
  const json = JSON.parse(text);
  return messagesSurface.passRequest(text, json, { target: to, stream: json.stream === true, routed });
};

describe('passing a request on', () => {
  test('changes the model’s name and no other byte', () => {
    const text =
      '{ "model" : "anthropic/x", "max_tokens": 1e2, "a_field_to_come": {"z": 12345678901234567890, "a": 1.0},\n' +
      '  "messages": [ {"role":"user", "content":[{"type":"text","text":"\\u00e9\\/\\ud83d\\ude00","cache_control":{"type":"ephemeral"}}]} ] }';
    expect(pass(text)).toBe(text.replace('anthropic/x', 'claude-sonnet-4-5'));
  });

  test('keeps a coding agent’s request, also where the router chose a model that takes it', () => {
    const text = JSON.stringify({ ...AGENT_REQUEST, model: 'auto' });
    const expected = text.replace('"auto"', '"claude-sonnet-4-5"');
    expect(pass(text)).toBe(expected);
    expect(pass(text, undefined, true)).toBe(expected);
  });

  const signed = { type: 'thinking', thinking: 'a', signature: 'EqoB' };
  const foreign = (by: 'openai' | 'google') => ({
    type: 'thinking',
    thinking: 'b',
    signature: sealedToText({ by, data: 'secret' }, 'anthropic'),
  });
  const call = { type: 'tool_use', id: 't1', name: 'f', input: { n: 1 } };
  const loop = (...content: unknown[]) => ({
    model: 'auto',
    max_tokens: 9000,
    thinking: { type: 'enabled', budget_tokens: 2000 },
    messages: [
      { role: 'user', content: 'x' },
      { role: 'assistant', content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1', content: 'ok' }] },
    ],
  });

  test('takes out reasoning that another maker sealed, or nobody, and keeps every other byte', () => {
    const unsigned = { type: 'thinking', thinking: 'c', signature: '' };
    const redacted = { type: 'redacted_thinking', data: foreign('google').signature };
    const text = JSON.stringify(loop(signed, foreign('openai'), unsigned, redacted, call)).replace('"n":1', '"n": 1.0');
    const expected = JSON.stringify(loop(signed, call)).replace('"n":1', '"n": 1.0');
    expect(pass(text)).toBe(expected.replace('"auto"', '"claude-sonnet-4-5"'));
  });

  test('takes out a message of nothing but such reasoning', () => {
    const text = JSON.stringify(loop(foreign('openai')));
    expect(JSON.parse(pass(text)).messages.map(({ role }: { role: string }) => role)).toEqual(['user', 'user']);
  });

  test('switches thinking off where the calls are then without the thinking that Anthropic asks for', () => {
    const text = JSON.stringify(loop(foreign('openai'), call));
    expect(JSON.parse(pass(text)).thinking).toEqual({ type: 'disabled' });
  });

  test('hands a host of another maker what it signed, and not what Anthropic did', () => {
    const minimax = target('MiniMax-M2', { dialect: { maker: 'minimax' } });
    const own = sealedToText({ by: 'minimax', data: 'its own' }, 'anthropic');
    const text = JSON.stringify(loop(signed, { ...signed, signature: own }, call));
    const expected = JSON.stringify(loop({ ...signed, signature: 'its own' }, call));
    expect(pass(text, minimax)).toBe(expected.replace('"auto"', '"MiniMax-M2"'));
  });

  test('asks for a stream, or for none, as the gateway needs it', () => {
    const text = '{"model":"auto","stream": true}';
    const options = { target: target('c'), stream: false, routed: false };
    expect(messagesSurface.passRequest(text, JSON.parse(text), options)).toBe('{"model":"c","stream": false}');
  });

  const routed = (fields: object, to: WriteTarget) =>
    JSON.parse(pass(JSON.stringify({ model: 'auto', max_tokens: 9000, messages: [], ...fields }), to, true));

  test.each([
    [
      'a budget for a model that wants none',
      'claude-opus-4-7',
      { type: 'enabled', budget_tokens: 2000 },
      { type: 'adaptive', display: 'summarized' },
    ],
    // Half of 9000.
    [
      'adaptive thinking for a model that wants a budget',
      'claude-haiku-4-5',
      { type: 'adaptive' },
      { type: 'enabled', budget_tokens: 4500 },
    ],
    ['the form that the model knows', 'claude-opus-4-7', { type: 'adaptive' }, { type: 'adaptive' }],
    ['no thinking for a model that always thinks', 'claude-opus-5-5', { type: 'disabled' }, undefined],
  ])('phrases, for a model that the router chose, %s', (_, model, thinking, expected) => {
    expect(routed({ thinking }, target(model)).thinking).toEqual(expected);
  });

  const reminded = {
    system: 'You help.',
    messages: [
      { role: 'user', content: 'a' },
      { role: 'system', content: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }] },
      { role: 'system', content: 'Be kind.' },
    ],
  };

  test('moves system messages to the system prompt for a model that takes none in mid-conversation', () => {
    const body = routed(reminded, target('claude-haiku-4-5'));
    expect(body.system).toEqual([
      { type: 'text', text: 'You help.' },
      { type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } },
      { type: 'text', text: 'Be kind.' },
    ]);
    expect(body.messages).toEqual([{ role: 'user', content: 'a' }]);
    expect(routed(reminded, target('claude-opus-5'))).toMatchObject(reminded);
  });

  test('leaves out, for a model that the router chose, what it would refuse', () => {
    const fields = { temperature: 0.5, top_k: 3, max_tokens: 100_000, output_config: { effort: 'max' } };
    const body = routed(fields, target('claude-haiku-4-5', { sampling: false }));
    expect(body).toEqual({ model: 'claude-haiku-4-5', max_tokens: 64000, messages: [] });
  });

  test('keeps all of it where the client named the model itself', () => {
    const text = '{"model":"a","max_tokens":9e9,"temperature":2,"thinking":{"type":"enabled","budget_tokens":1}}';
    expect(pass(text, target('a', { sampling: false }))).toBe(text);
  });
});

describe('passing a stream on', () => {
  test('changes the model in message_start, and in no other frame a byte', () => {
    for (const frame of STREAM) {
      const expected = frame.data.replace('"model":"claude-sonnet-4-5-20250929"', '"model":"anthropic/claude"');
      expect(messagesSurface.passFrame(frame, [], PASS)).toBe(`event: ${frame.event}\ndata: ${expected}\n\n`);
    }
  });

  test('keeps large numbers, escapes and what may end a line elsewhere', () => {
    const data =
      '{"type":"message_start", "n": 1.0,"message":{"big":12345678901234567890,"model":"x","s":"\\u2028\u2028"}}';
    expect(messagesSurface.passFrame({ event: 'message_start', data }, [], PASS)).toBe(
      `event: message_start\ndata: ${data.replace('"x"', '"anthropic/claude"')}\n\n`,
    );
  });

  test('keeps JSON laid out over several lines one event', () => {
    const frame = { event: 'ping', data: '{"type":\n"ping"}' };
    expect(messagesSurface.passFrame(frame, [], PASS)).toBe('event: ping\ndata: {"type":\ndata: "ping"}\n\n');
  });

  test('names an event that its host left unnamed, since clients pass over those', () => {
    const [start] = STREAM;
    expect(messagesSurface.passFrame({ event: '', data: start!.data }, [], PASS)).toContain('event: message_start\n');
  });

  test('passes on what is not of the protocol as it is', () => {
    expect(messagesSurface.passFrame({ event: '', data: 'hello' }, [], PASS)).toBe('data: hello\n\n');
    const odd = '{"type":"message_start","message":7}';
    expect(messagesSurface.passFrame({ event: 'message_start', data: odd }, [], PASS)).toContain(odd);
  });
});

test('a whole answer is passed on with another model’s name only', () => {
  const text = '{"id":"msg_1", "model":"claude-x","usage":{"input_tokens":1.0},"content":[{"model":"inner"}]}';
  expect(messagesSurface.passAnswer(text, 'anthropic/claude')).toBe(text.replace('claude-x', 'anthropic/claude'));
});
