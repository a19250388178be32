import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROGRAMS } from '../../../server/demo/programs.ts';
import { startUpstreams, type Upstreams } from '../../../server/demo/upstreams.ts';

let upstreams: Upstreams;
beforeAll(async () => {
  upstreams = await startUpstreams(PROGRAMS);
});
afterAll(() => upstreams.close());

const ask = (provider: string, content: string) =>
  new OpenAI({ baseURL: upstreams.baseUrls[provider]!, apiKey: 'none', maxRetries: 0 }).chat.completions.create({
    model: provider,
    messages: [{ role: 'user', content }],
  });

test('the OpenAI SDK gets an answer that was computed from the prompt, with usage', async () => {
  const reply = await ask('expert', 'What is (17 + 4) * 3?');
  expect(reply.choices[0]!.message.content).toMatch(/Answer: 63$/);
  expect(reply.model).toBe('expert');
  expect(reply.usage!.prompt_tokens).toBe(6); // 21 characters
  expect(reply.usage!.total_tokens).toBe(reply.usage!.prompt_tokens + reply.usage!.completion_tokens);
});

test('every program has an address of its own and its own skill', async () => {
  expect(new Set(Object.values(upstreams.baseUrls)).size).toBe(PROGRAMS.length);
  const question = 'What is 2 + 3 * 4?';
  const answers = await Promise.all(['pocket', 'clerk', 'coder', 'expert'].map((name) => ask(name, question)));
  expect(answers.map((a) => a.choices[0]!.message.content!.split('Answer: ')[1])).toEqual(['5', '20', '14', '14']);
});

test('refuses other paths and bodies in the shape of the protocol', async () => {
  const base = upstreams.baseUrls.expert!;
  expect((await fetch(`${base}/models`)).status).toBe(404);
  const bad = await fetch(`${base}/chat/completions`, { method: 'POST', body: '{"messages": [' });
  expect(bad.status).toBe(400);
  expect(await bad.json()).toMatchObject({ error: { type: 'invalid_request_error' } });
});
