import { describe, expect, test } from 'vitest';
import { messagesSurface, messagesUpstream } from '../../../server/protocols/messages/index.ts';

const error = (message: string, more = {}) => ({ message, type: 'server_error', code: null, param: null, ...more });
const write = (told: ReturnType<typeof error>, status: number) =>
  messagesSurface.writeError(told, status, 'ab'.repeat(16)) as { error: { type: string; message: string } };

describe('writing an error', () => {
  test('has the shape of Anthropic’s', () => {
    expect(write(error('no such field', { type: 'invalid_request_error' }), 400)).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: 'no such field' },
      request_id: `req_${'ab'.repeat(16)}`,
    });
  });

  test.each([
    [400, 'invalid_request_error'],
    [401, 'authentication_error'],
    [402, 'billing_error'],
    [403, 'permission_error'],
    [404, 'not_found_error'],
    [413, 'request_too_large'],
    [422, 'invalid_request_error'],
    [429, 'rate_limit_error'],
    [500, 'api_error'],
    [502, 'api_error'],
    [503, 'api_error'],
    [504, 'timeout_error'],
    [529, 'overloaded_error'],
  ])('calls status %i %s, whatever OpenAI would call it', (status, type) => {
    expect(write(error('x', { type: 'invalid_request_error' }), status).error.type).toBe(type);
  });

  test('keeps the provider’s own word for a break in mid-stream', () => {
    const frame = messagesSurface.errorFrame(error('busy', { type: 'overloaded_error' }), 502, 'f'.repeat(32));
    expect(frame).toBe(
      `event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"req_${'f'.repeat(32)}"}\n\n`,
    );
  });

  test.each([
    [
      'Anthropic’s own words',
      'anthropic answered 400: prompt is too long: 210118 tokens > 200000 maximum',
      'prompt is too long: 210118 tokens > 200000 maximum',
    ],
    [
      'OpenAI’s numbers',
      "This model's maximum context length is 128000 tokens. However, your messages resulted in 131,072 tokens.",
      'prompt is too long: 131072 tokens > 128000 maximum (',
    ],
    [
      'a prompt that fits without its answer',
      "This model's maximum context length is 262144 tokens. However, you requested 262462 tokens (230462 in the messages, 32000 in the completion).",
      'input length and `max_tokens` exceed context limit: 230462 + 32000 > 262144 (',
    ],
    ['no numbers', 'the input is larger than any model takes', 'prompt is too long: the input is'],
  ])('words a prompt beyond the context as agents know it, from %s', (_, message, expected) => {
    const told = write(error(message, { code: 'context_length_exceeded' }), 400);
    expect(told.error.type).toBe('invalid_request_error');
    expect(told.error.message.startsWith(expected)).toBe(true);
  });
});

describe('reading an error', () => {
  const read = (type: string, message: string) =>
    messagesUpstream.readError(JSON.stringify({ type: 'error', error: { type, message }, request_id: 'req_1' }));

  test.each([
    ['overloaded_error', 'Overloaded', null, 529],
    ['invalid_request_error', 'prompt is too long: 210118 tokens > 200000 maximum', 'context_length_exceeded', 400],
    [
      'invalid_request_error',
      'input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length or `max_tokens` and try again',
      'context_length_exceeded',
      400,
    ],
    ['invalid_request_error', 'Your credit balance is too low to access the API.', 'insufficient_quota', 400],
    ['not_found_error', 'model: claude-none', 'model_not_found', 404],
    ['something_new', 'x', null, undefined],
  ])('understands %s: %s', (type, message, code, status) => {
    expect(read(type, message)).toEqual({ message, type, code, param: null, ...(status && { status }) });
  });

  test.each([
    ['[{"error":{"code":403,"message":"denied","status":"PERMISSION_DENIED"}}]', 'denied'],
    ['{"error":"text"}', 'text'],
    ['{"message":"bare"}', 'bare'],
  ])('reads other shapes: %s', (body, message) => {
    expect(messagesUpstream.readError(body)?.message).toBe(message);
  });

  test.each([['<html>'], ['[]'], ['null'], ['{}'], ['{"error":{"message":5}}']])('finds none in %s', (body) => {
    expect(messagesUpstream.readError(body)).toBeUndefined();
  });
});
