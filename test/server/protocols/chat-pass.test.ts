/** A chat request between a client and a host that both speak it: what is changed for the host, and that nothing else is. */
import { describe, expect, test } from 'vitest';
import { chatSurface } from '../../../server/protocols/chat/index.ts';
import type { Dialect } from '../../../server/protocols/protocol.ts';

function passed(messages: string, dialect: Dialect, routed: boolean): string {
  const text = `{ "messages": ${messages}, "model":"m" }`;
  const target = { model: 'm', dialect, sampling: true, reasoning: true, maxOutputTokens: undefined };
  const out = chatSurface.passRequest(text, JSON.parse(text), { target, stream: false, routed });
  expect(out.startsWith('{ "messages": ') && out.endsWith(', "model":"m" }')).toBe(true);
  return out.slice('{ "messages": '.length, -', "model":"m" }'.length);
}

const SEALED =
  '[{"role":"assistant", "content":"a","reasoning_content":"why", "reasoning_details":[{"type":"reasoning.text","text":"why","signature":"sig","format":"anthropic-claude-v1"}],"n":1.0}]';

describe('reasoning that another maker sealed', () => {
  test.each([true, false])('does not reach a host that cannot read it, nor do its words; routed: %s', (routed) => {
    expect(passed(SEALED, {}, routed)).toBe('[{"role":"assistant","content":"a","n":1.0}]');
  });

  test('leaves its words to a host that wants them back', () => {
    expect(passed(SEALED, { maker: 'deepseek', returnsReasoning: true }, false)).toContain('"reasoning_content":"why"');
  });

  test('reaches a host of many makers’ models byte by byte, and so does its own maker', () => {
    expect(passed(SEALED, { reasoningDetails: true }, true)).toBe(SEALED);
    expect(passed(SEALED, { maker: 'anthropic' }, true)).toBe(SEALED);
  });

  test('is taken out from beside what is not known to be another’s', () => {
    const details =
      '[{"role":"assistant","reasoning_details":[{"type":"x","format":"unknown"},{"type":"reasoning.encrypted","data":"d","format":"google-gemini-v1","id":"c"}]}]';
    expect(passed(details, {}, false)).toBe(
      '[{"role":"assistant","reasoning_details":[{"type":"x","format":"unknown"}]}]',
    );
  });
});

describe('a host that the router chose', () => {
  const MISTRAL: Dialect = { toolIdPattern: 'mistral' };
  const CALLS =
    '[{"role":"assistant","content":[],"tool_calls":[{"id":"toolu_01A","type":"function"}, {"id":"abcdef123","type":"function"}]},{"role":"tool", "tool_call_id":"toolu_01A","content":"x"}]';

  test('gets ids of the form that it takes, a call and its result the same one', () => {
    const messages = JSON.parse(passed(CALLS, MISTRAL, true));
    expect(messages[0].tool_calls[0].id).toMatch(/^[a-zA-Z0-9]{9}$/);
    expect(messages[1].tool_call_id).toBe(messages[0].tool_calls[0].id);
    expect(messages[0].tool_calls[1].id).toBe('abcdef123');
  });

  test('gets neither empty lists, nor marks, nor roles that it does not know', () => {
    expect(JSON.parse(passed(CALLS, {}, true))[0].content).toBeNull();
    const marked =
      '[{"role":"developer","content":[{"type":"text","text":"a", "cache_control":{"type":"ephemeral"}}, {"type":"text","text":"b"}]}]';
    expect(passed(marked, {}, true)).toBe(
      '[{"role":"system","content":[{"type":"text","text":"a"}, {"type":"text","text":"b"}]}]',
    );
    expect(passed(marked, { systemRole: 'developer', cacheMarks: true }, true)).toBe(marked);
  });

  test('gets the reasoning that it wants of every turn, empty where there was none', () => {
    expect(passed('[{"role":"assistant","content":"a"}]', { returnsReasoning: true }, true)).toBe(
      '[{"role":"assistant","content":"a","reasoning_content":""}]',
    );
  });
});

test('a host that the client named gets its messages byte by byte', () => {
  const messages =
    '[ {"role":"developer","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]},{"role":"assistant","content":[],"tool_calls":[{"id":"toolu_01A"}]}, {"role":"tool","tool_call_id":"toolu_01A"},1.0]';
  expect(passed(messages, { toolIdPattern: 'mistral', returnsReasoning: true }, false)).toBe(messages);
});
