import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readChatError } from '../../../server/protocols/chat/errors.ts';
import { chatSurface } from '../../../server/protocols/chat/index.ts';

test.each([
  [
    'OpenAI’s',
    '{"error":{"message":"bad","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}',
    { message: 'bad', type: 'invalid_request_error', param: 'temperature', code: 'unsupported_value' },
  ],
  [
    'Google’s, in a list',
    '[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}]',
    { message: 'quota', code: 429 },
  ],
  [
    'OpenRouter’s',
    '{"error":{"code":402,"message":"no credit","metadata":{}},"user_id":"u"}',
    { message: 'no credit', code: 402 },
  ],
  [
    'Mistral’s',
    '{"object":"error","message":"no such model","type":"invalid_model","param":null,"code":"1500"}',
    { message: 'no such model', type: 'invalid_model', code: '1500' },
  ],
  ['a text alone', '{"error":"model not found"}', { message: 'model not found', type: 'upstream_error', code: null }],
  [
    'xAI’s',
    '{"code":"The caller lacks permission","error":"no"}',
    { message: 'no', code: 'The caller lacks permission' },
  ],
  ['a detail', '{"detail":"Not Found"}', { message: 'Not Found' }],
  [
    'FastAPI’s list of details, as servers of open models have it',
    '{"detail":[{"loc":["body","messages",0,"role"],"msg":"Input should be a role","type":"enum"},{"loc":["body","n"],"msg":"too large","type":"x"}]}',
    { message: 'messages.0.role: Input should be a role; n: too large', param: 'messages.0.role' },
  ],
])('reads %s', (_, body, error) => {
  expect(readChatError(body)).toMatchObject(error);
});

test.each([
  '',
  'Bad Gateway',
  '<html>',
  'null',
  '5',
  '[]',
  '{}',
  '{"error":null}',
  '{"error":{}}',
  '{"error":{"message":5}}',
  '{"detail":[]}',
  '{"detail":[{"loc":5}]}',
])('finds none in %j', (body) => {
  expect(readChatError(body)).toBeUndefined();
});

test('never fails on what it is given, and what it finds can be told in JSON', () => {
  const part = fc.dictionary(
    fc.constantFrom('error', 'message', 'detail', 'code', 'type', 'param', 'msg', 'loc'),
    fc.jsonValue({ maxDepth: 3 }),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        part.map((value) => JSON.stringify(value)),
      ),
      (body) => {
        const error = readChatError(body);
        if (error === undefined) return;
        expect(error).toMatchObject({ message: expect.any(String), type: expect.any(String) });
        expect(JSON.parse(chatSurface.errorFrame(error, 500, 'r').slice(6))).toEqual({
          error: { message: error.message, type: error.type, code: error.code, param: error.param },
        });
      },
    ),
  );
});
