/** OpenAI's Responses, unstored: reasoning comes back sealed, under an id of its own. */
import { z } from 'zod';
import type { ProviderKind } from '../../../../server/providers/kind.ts';
import { openai } from '../../../../server/providers/openai.ts';
import { xai } from '../../../../server/providers/xai.ts';
import { halves, json, must, STORY, type Step, sse, stream, type TrueUpstream, USED } from './story.ts';

const REASONING_ID = 'rs_0a1b2c3d4e5f60718293a4b5c6d7e8f90011223344556677';

const Item = z.union([
  z.strictObject({
    type: z.literal('message').optional(),
    id: z.string().startsWith('msg_').optional(),
    status: z.string().optional(),
    phase: z.string().nullish(),
    role: z.enum(['user', 'assistant', 'system', 'developer']),
    content: z.union([
      z.string(),
      z.array(
        z.strictObject({
          type: z.enum(['input_text', 'output_text']),
          text: z.string(),
          annotations: z.array(z.unknown()).optional(),
          logprobs: z.array(z.unknown()).optional(),
          parsed: z.null().optional(),
        }),
      ),
    ]),
  }),
  z.strictObject({
    type: z.literal('reasoning'),
    id: z.string().optional(),
    summary: z.array(z.strictObject({ type: z.literal('summary_text'), text: z.string() })),
    content: z.array(z.unknown()).optional(),
    encrypted_content: z.string().nullish(),
    status: z.string().nullish(),
  }),
  z.strictObject({
    type: z.literal('function_call'),
    id: z.string().startsWith('fc_').optional(),
    call_id: z.string().max(64),
    name: z.string(),
    arguments: z.string(),
    status: z.string().optional(),
    parsed_arguments: z.unknown().optional(),
  }),
  z.strictObject({
    type: z.literal('function_call_output'),
    call_id: z.string().max(64),
    output: z.union([z.string(), z.array(z.strictObject({ type: z.literal('input_text'), text: z.string() }))]),
  }),
]);
const Request = z.strictObject({
  model: z.string(),
  input: z.union([z.string(), z.array(Item).min(1)]),
  instructions: z.string().nullish(),
  tools: z
    .array(
      z.union([
        z.strictObject({
          type: z.literal('function'),
          name: z.string(),
          description: z.string().optional(),
          parameters: z.looseObject({}),
          strict: z.boolean().optional(),
        }),
        z.strictObject({
          type: z.literal('custom'),
          name: z.string(),
          description: z.string(),
          format: z.looseObject({}),
        }),
      ]),
    )
    .optional(),
  tool_choice: z.unknown().optional(),
  parallel_tool_calls: z.boolean().optional(),
  max_output_tokens: z.number().min(16).optional(),
  reasoning: z.strictObject({ effort: z.string().optional(), summary: z.string().optional() }).optional(),
  text: z.looseObject({}).optional(),
  include: z.array(z.string()).optional(),
  prompt_cache_key: z.string().optional(),
  client_metadata: z.record(z.string(), z.string()).optional(),
  safety_identifier: z.string().max(64).optional(),
  store: z.literal(false),
  stream: z.boolean().optional(),
});

const usage = {
  input_tokens: USED.input,
  input_tokens_details: { cached_tokens: USED.cached },
  output_tokens: USED.output,
  output_tokens_details: { reasoning_tokens: 10 },
  total_tokens: USED.input + USED.output,
};
const head = (status: string, output: unknown[]) => ({
  id: 'resp_0a1b2c',
  object: 'response',
  created_at: 1760000000,
  status,
  background: false,
  error: null,
  incomplete_details: null,
  instructions: null,
  max_output_tokens: null,
  model: 'gpt-5.1-2025-11-13',
  output,
  parallel_tool_calls: true,
  previous_response_id: null,
  reasoning: { effort: 'medium', summary: null },
  store: false,
  temperature: 1,
  text: { format: { type: 'text' }, verbosity: 'medium' },
  tool_choice: 'auto',
  tools: [],
  top_p: 1,
  truncation: 'disabled',
  usage: status === 'completed' ? usage : null,
  user: null,
  metadata: {},
});
const reasoningOf = (seal: string) => (text: string) => ({
  id: REASONING_ID,
  type: 'reasoning',
  summary: text === '' ? [] : [{ type: 'summary_text', text }],
  encrypted_content: seal,
});
const message = (status: string, text: string | null) => ({
  id: 'msg_0a1b2c',
  type: 'message',
  status,
  role: 'assistant',
  content: text === null ? [] : [{ type: 'output_text', annotations: [], logprobs: [], text }],
});
const call = (status: string, args: string) => ({
  id: 'fc_0a1b2c',
  type: 'function_call',
  status,
  arguments: args,
  call_id: 'call_Zx81',
  name: STORY.tool.name,
});

function upstreamOf(kind: ProviderKind, model: string, seal: string): TrueUpstream {
  const reasoning = reasoningOf(seal);
  return {
    protocol: 'responses',
    kind: { ...kind, protocols: ['responses'] },
    model,
    basePath: '/v1',
    seal: seal,
    cached: USED.cached,
    read({ url, body }) {
      must(url === '/v1/responses', `POST ${url}`);
      const request = Request.parse(body);
      must(request.model === model, `no model ${request.model}`);
      const items = typeof request.input === 'string' ? [] : request.input;
      const called: string[] = [];
      items.forEach((item, i) => {
        if (item.type === 'function_call') called.push(item.call_id);
        if (item.type === 'function_call_output')
          must(called.includes(item.call_id), 'No tool call found for its output');
        if (item.type !== 'reasoning') return;
        must(item.encrypted_content === seal, 'The encrypted content could not be verified');
        must(item.id === undefined || item.id === REASONING_ID, `Encrypted content item_id did not match: ${item.id}`);
        const next = items[i + 1];
        must(
          next && (next.type === 'function_call' || ('role' in next && next.role === 'assistant')),
          'reasoning without its following item',
        );
      });
      const said = items.findLastIndex(
        (item) => item.type === 'function_call' || ('role' in item && item.role === 'assistant'),
      );
      const asked = JSON.stringify(items.slice(said + 1));
      const step: Step = asked.includes('function_call_output')
        ? 'report'
        : asked.includes(STORY.question)
          ? 'call'
          : 'greet';
      if (step !== 'greet')
        must(
          request.tools?.some(({ name }) => name === STORY.tool.name),
          'no tools',
        );
      return { step, stream: request.stream === true };
    },
    answer(step, streams, response) {
      const text = { greet: STORY.greeted, call: STORY.plan, report: STORY.report }[step];
      const args = JSON.stringify(STORY.call);
      const output =
        step === 'call'
          ? [reasoning(STORY.thought), message('completed', text), call('completed', args)]
          : [message('completed', text)];
      if (!streams) {
        json(response, head('completed', output));
        return;
      }
      const frames: string[] = [];
      let sequence_number = 0;
      const emit = (type: string, fields: object) =>
        frames.push(sse({ type, sequence_number: sequence_number++, ...fields }, type));
      emit('response.created', { response: head('in_progress', []) });
      emit('response.in_progress', { response: head('in_progress', []) });
      let output_index = 0;
      if (step === 'call') {
        const at = { item_id: REASONING_ID, output_index, summary_index: 0 };
        emit('response.output_item.added', {
          output_index,
          item: { ...reasoning(''), encrypted_content: 'gAAAAABearlier' },
        });
        emit('response.reasoning_summary_part.added', { ...at, part: { type: 'summary_text', text: '' } });
        for (const delta of halves(STORY.thought)) emit('response.reasoning_summary_text.delta', { ...at, delta });
        emit('response.reasoning_summary_text.done', { ...at, text: STORY.thought });
        emit('response.reasoning_summary_part.done', { ...at, part: { type: 'summary_text', text: STORY.thought } });
        emit('response.output_item.done', { output_index: output_index++, item: reasoning(STORY.thought) });
      }
      const at = { item_id: 'msg_0a1b2c', output_index, content_index: 0 };
      emit('response.output_item.added', { output_index, item: message('in_progress', null) });
      emit('response.content_part.added', {
        ...at,
        part: { type: 'output_text', annotations: [], logprobs: [], text: '' },
      });
      for (const delta of halves(text))
        emit('response.output_text.delta', { ...at, delta, logprobs: [], obfuscation: 'x' });
      emit('response.output_text.done', { ...at, text, logprobs: [] });
      emit('response.content_part.done', { ...at, part: { type: 'output_text', annotations: [], logprobs: [], text } });
      emit('response.output_item.done', { output_index: output_index++, item: message('completed', text) });
      if (step === 'call') {
        const of = { item_id: 'fc_0a1b2c', output_index };
        emit('response.output_item.added', { output_index, item: call('in_progress', '') });
        for (const delta of halves(args)) emit('response.function_call_arguments.delta', { ...of, delta });
        emit('response.function_call_arguments.done', { ...of, name: STORY.tool.name, arguments: args });
        emit('response.output_item.done', { output_index, item: call('completed', args) });
      }
      emit('response.completed', { response: head('completed', output) });
      stream(response, frames);
    },
    refuse(status, message, response) {
      json(
        response,
        {
          error: { message, type: status === 400 ? 'invalid_request_error' : 'server_error', param: null, code: null },
        },
        status,
      );
    },
  };
}

export const responsesUpstream = upstreamOf(openai, 'gpt-5.1', 'gAAAAABsealedByOpenAI_reasoning==');

/** xAI speaks the protocol too, and seals its reasoning itself. */
export const xaiUpstream = upstreamOf(xai, 'grok-4', 'c2VhbGVkLWJ5LXhBSQ_reasoning==');
