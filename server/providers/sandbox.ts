/**
 * Answers when no provider key is configured, so that routing can be tried at once. Every answer
 * says that it is none of a model's; usage is counted from characters and costs nothing.
 */
import { randomBytes } from 'node:crypto';
import { isObject, tokensOfChars } from '../forward/usage.ts';
import type { Provider, ProviderCall } from './provider.ts';

export const sandbox = (): Provider => ({
  name: 'sandbox',
  sandbox: true,
  address: 'built in',
  credentials: [{ id: '', weight: 1 }],
  protocolFor: () => 'chat',
  dialectOf: () => ({}),
  async call(call) {
    const answer = answerTo(call);
    return {
      status: 200,
      contentType: call.stream ? 'text/event-stream' : 'application/json',
      retryAfter: undefined,
      body: call.stream ? streamed(call, answer) : whole(call, answer),
    };
  },
  close: async () => {},
});

function answerTo({ modelId, routed }: ProviderCall): string {
  const chosen = routed ? `The router chose ${modelId} for this prompt.` : `You asked for ${modelId}.`;
  return (
    '[pointsman sandbox] This is not a model’s answer: no provider key is configured. ' +
    `${chosen} Set a key such as OPENAI_API_KEY and start again for real answers.`
  );
}

async function* whole(call: ProviderCall, answer: string) {
  const choice = { index: 0, message: { role: 'assistant', content: answer }, finish_reason: 'stop' };
  yield bytes(JSON.stringify({ ...head(call, 'chat.completion'), choices: [choice], usage: usage(call, answer) }));
}

async function* streamed(call: ProviderCall, answer: string) {
  const common = head(call, 'chat.completion.chunk');
  const chunk = (fields: object) => bytes(`data: ${JSON.stringify({ ...common, ...fields })}\n\n`);
  const delta = (content: object, finish: string | null = null) =>
    chunk({ choices: [{ index: 0, delta: content, finish_reason: finish }] });
  yield delta({ role: 'assistant', content: '' });
  for (const word of answer.split(/(?<= )/)) yield delta({ content: word });
  yield delta({}, 'stop');
  yield chunk({ choices: [], usage: usage(call, answer) });
  yield bytes('data: [DONE]\n\n');
}

const head = (call: ProviderCall, object: string) => ({
  id: `chatcmpl-sandbox-${randomBytes(8).toString('hex')}`,
  object,
  created: Math.floor(Date.now() / 1000),
  model: call.model,
});

function usage({ body }: ProviderCall, answer: string) {
  const prompt = tokensOfChars(charsOf((JSON.parse(body) as { messages?: unknown }).messages));
  const completion = tokensOfChars(answer.length);
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

function charsOf(messages: unknown): number {
  if (!Array.isArray(messages)) return 0;
  let chars = 0;
  for (const { content } of messages.filter(isObject)) {
    if (typeof content === 'string') chars += content.length;
    else if (Array.isArray(content)) {
      for (const part of content.filter(isObject)) if (typeof part.text === 'string') chars += part.text.length;
    }
  }
  return chars;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);
