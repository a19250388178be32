import { describe, expect, test } from 'vitest';
import { sessionIdOf } from '../../server/api/session-id.ts';

const UUID = '0a1b2c3d-4e5f-6789-abcd-ef0123456789';
const of = (json: object, headers: Record<string, string> = {}, given?: string) =>
  sessionIdOf(given, headers, json as Record<string, unknown>);

describe('an id that a client tells', () => {
  test.each<[string, Record<string, string>, object]>([
    ['our own header', { 'x-session-id': UUID }, {}],
    ['Codex', { session_id: UUID }, {}],
    ['Codex, lately', { 'session-id': UUID }, {}],
    ['Codex’s conversation', { conversation_id: UUID }, {}],
    ['x-conversation-id', { 'x-conversation-id': UUID }, {}],
    ['Claude Code’s header', { 'x-claude-code-session-id': UUID }, {}],
    ['Helicone', { 'helicone-session-id': UUID }, {}],
    ['LiteLLM’s header', { 'x-litellm-session-id': UUID }, {}],
    ['LiteLLM’s field', {}, { litellm_session_id: UUID }],
    ['OpenRouter’s field', {}, { session_id: UUID }],
    ['metadata', {}, { metadata: { session_id: UUID } }],
    ['metadata in another spelling', {}, { metadata: { sessionId: UUID } }],
    ['a conversation in metadata', {}, { metadata: { conversation_id: UUID } }],
    ['Claude Code’s user', {}, { metadata: { user_id: `user_${'ab12'.repeat(16)}_account_${UUID}_session_${UUID}` } }],
    ['Claude Code’s user, lately', {}, { metadata: { user_id: JSON.stringify({ device_id: 'd', session_id: UUID }) } }],
    ['Codex’s cache key', {}, { prompt_cache_key: UUID }],
  ])('%s', (_, headers, json) => {
    expect(of(json, headers)).toEqual({ told: UUID, conversation: UUID });
  });

  test('the knob counts for more than headers, these for more than fields', () => {
    const json = { metadata: { session_id: 'field' }, prompt_cache_key: 'key', user: 'me' };
    expect(of(json, { 'x-session-id': 'header' }, 'knob').conversation).toBe('knob');
    expect(of(json, { 'x-session-id': 'header', session_id: 'later' }).conversation).toBe('header');
    expect(of(json).conversation).toBe('field');
  });

  test('a long one is known by its hash', () => {
    expect(of({ session_id: 'x'.repeat(200) }).conversation).toBe('x'.repeat(200));
    const long = of({ session_id: 'x'.repeat(201) });
    expect(long.conversation).toMatch(/^[0-9a-f]{64}$/);
    expect(long.told).toBe(long.conversation);
    expect(of({ session_id: 'x'.repeat(202) }).conversation).not.toBe(long.conversation);
  });

  test.each([
    { session_id: '' },
    { session_id: 5 },
    { session_id: null },
    { metadata: 'x' },
    { metadata: { user_id: '{"session_id":5}' } },
    { metadata: { user_id: '{broken' } },
    { metadata: { user_id: 'user_1_session_' } },
    { metadata: [UUID] },
  ])('%j is none', (json) => {
    expect(of(json).conversation).toBeNull();
  });

  test('a user is told, but is no conversation', () => {
    expect(of({ user: 'me' })).toEqual({ told: 'me', conversation: null });
    expect(of({ safety_identifier: 'me' })).toEqual({ told: 'me', conversation: null });
    expect(of({ metadata: { user_id: 'plain-user' } })).toEqual({ told: 'plain-user', conversation: null });
  });
});

describe('a conversation without an id', () => {
  const user = (content: unknown) => ({ role: 'user', content });
  const assistant = { role: 'assistant', content: 'Hello.' };
  const system = { role: 'system', content: 'You help.' };
  const began = (json: object) => of(json).conversation;

  test('is known again by how it began', () => {
    const first = began({ messages: [system, user('Hi'), assistant, user('More')] });
    expect(first).toMatch(/^began:[0-9a-f]{32}$/);
    expect(began({ messages: [system, user('Hi'), assistant, user('More'), assistant, user('Yet more')] })).toBe(first);
  });

  test('is another with another first turn, or under other instructions', () => {
    const one = began({ messages: [system, user('Hi'), assistant, user('More')] });
    expect(began({ messages: [system, user('Hello'), assistant, user('More')] })).not.toBe(one);
    expect(began({ messages: [user('Hi'), assistant, user('More')] })).not.toBe(one);
    expect(began({ system: 'Other', messages: [user('Hi'), assistant] })).not.toBe(
      began({ system: 'One', messages: [user('Hi'), assistant] }),
    );
  });

  test('is an agent’s from its first turn on, for the tools tell that there will be more', () => {
    const tools = [{ type: 'function', function: { name: 'f' } }];
    const first = began({ messages: [user('Do it')], tools });
    expect(first).not.toBeNull();
    const results = [
      { role: 'assistant', tool_calls: [] },
      { role: 'tool', tool_call_id: 'x', content: 'ok' },
    ];
    expect(began({ messages: [user('Do it'), ...results], tools })).toBe(first);
  });

  test('is read from Responses’ input too', () => {
    const input = [
      user([{ type: 'input_text', text: 'Do it' }]),
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
    ];
    expect(began({ instructions: 'You help.', input })).not.toBeNull();
    expect(began({ instructions: 'You help.', input })).not.toBe(began({ input }));
  });

  test.each([
    { messages: [user('Hi')] },
    { messages: [system, user('Hi')] },
    { messages: [assistant] },
    { messages: [], tools: [{}] },
    { messages: [null, 5, 'x'], tools: [{}] },
    { messages: 'Hi', input: 5 },
    { input: 'Hi' },
    {},
  ])('is none where there is only a question, or nothing: %j', (json) => {
    expect(of(json)).toEqual({ told: null, conversation: null });
  });
});
