/** The OpenAI chat protocol as DeepSeek speaks it: reasoning in words beside the text, cache hits under a name of its own. */
import { z } from 'zod';
import { deepseek } from '../../../../server/providers/deepseek.ts';
import { halves, json, must, STORY, type Step, sse, stream, type TrueUpstream, USED } from './story.ts';

const MODEL = 'deepseek-v4';
const CALL_ID = 'call_00_q7Y';

const Call = z.strictObject({
  id: z.string(),
  type: z.literal('function'),
  index: z.number().optional(),
  function: z.strictObject({ name: z.string(), arguments: z.string(), parsed_arguments: z.unknown().optional() }),
});
const Content = z.union([z.string(), z.array(z.strictObject({ type: z.literal('text'), text: z.string() })).min(1)]);
const Message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: Content }),
  z.strictObject({ role: z.literal('user'), content: Content }),
  z.strictObject({
    role: z.literal('assistant'),
    content: Content.nullish(),
    refusal: z.null().optional(),
    parsed: z.null().optional(),
    reasoning_content: z.string().nullish(),
    tool_calls: z.array(Call).nullish(),
  }),
  z.strictObject({ role: z.literal('tool'), tool_call_id: z.string(), content: Content }),
]);
const Request = z.strictObject({
  model: z.literal(MODEL),
  messages: z.array(Message).min(1),
  tools: z
    .array(
      z.strictObject({
        type: z.literal('function'),
        function: z.strictObject({
          name: z.string(),
          description: z.string().optional(),
          parameters: z.looseObject({}),
          strict: z.boolean().optional(),
        }),
      }),
    )
    .optional(),
  tool_choice: z.unknown().optional(),
  max_tokens: z.number().optional(),
  max_completion_tokens: z.number().optional(),
  parallel_tool_calls: z.boolean().optional(),
  user: z.string().optional(),
  temperature: z.number().optional(),
  reasoning_effort: z.string().optional(),
  thinking: z.strictObject({ type: z.enum(['enabled', 'disabled']) }).optional(),
  response_format: z.looseObject({}).optional(),
  stream: z.boolean().optional(),
  stream_options: z.strictObject({ include_usage: z.boolean() }).optional(),
});

const usage = {
  prompt_tokens: USED.input,
  completion_tokens: USED.output,
  total_tokens: USED.input + USED.output,
  completion_tokens_details: { reasoning_tokens: 10 },
  prompt_tokens_details: { cached_tokens: USED.cached },
  prompt_cache_hit_tokens: USED.cached,
  prompt_cache_miss_tokens: USED.input - USED.cached,
};
const common = { id: '5f3c9d', created: 1760000000, model: MODEL, system_fingerprint: 'fp_1' };

export const chatUpstream: TrueUpstream = {
  protocol: 'chat',
  kind: deepseek,
  model: MODEL,
  basePath: '/v1',
  cached: USED.cached,
  read({ url, body }) {
    must(url === '/v1/chat/completions', `POST ${url}`);
    const request = Request.parse(body);
    let open: string[] = [];
    for (const message of request.messages) {
      if (message.role === 'tool') {
        must(open.includes(message.tool_call_id), "Messages with role 'tool' must follow a message with 'tool_calls'");
        open = open.filter((id) => id !== message.tool_call_id);
        continue;
      }
      must(open.length === 0, 'tool_calls must be followed by tool messages');
      if (message.role === 'assistant') open = message.tool_calls?.map(({ id }) => id) ?? [];
    }
    const asked = request.messages.slice(request.messages.findLastIndex(({ role }) => role === 'assistant') + 1);
    const isAsked = JSON.stringify(asked).includes(STORY.question);
    const step: Step = asked.some(({ role }) => role === 'tool') ? 'report' : isAsked ? 'call' : 'greet';
    if (step !== 'greet')
      must(
        request.tools?.some((tool) => tool.function.name === STORY.tool.name),
        'no tools',
      );
    return { step, stream: request.stream === true };
  },
  answer(step, streams, response) {
    const text = { greet: STORY.greeted, call: STORY.plan, report: STORY.report }[step];
    const args = JSON.stringify(STORY.call);
    const finish_reason = step === 'call' ? 'tool_calls' : 'stop';
    const fn = (json: string) => ({ name: STORY.tool.name, arguments: json });
    if (!streams) {
      const extra =
        step === 'call'
          ? {
              reasoning_content: STORY.thought,
              tool_calls: [{ index: 0, id: CALL_ID, type: 'function', function: fn(args) }],
            }
          : {};
      const message = { role: 'assistant', content: text, ...extra };
      json(response, {
        ...common,
        object: 'chat.completion',
        choices: [{ index: 0, message, logprobs: null, finish_reason }],
        usage,
      });
      return;
    }
    const chunk = (fields: object) => sse({ ...common, object: 'chat.completion.chunk', ...fields });
    const delta = (content: object, finish: string | null = null) =>
      chunk({ choices: [{ index: 0, delta: content, logprobs: null, finish_reason: finish }] });
    stream(response, [
      ': keep-alive\n\n',
      delta({ role: 'assistant', content: null, reasoning_content: '' }),
      ...(step === 'call'
        ? halves(STORY.thought).map((half) => delta({ content: null, reasoning_content: half }))
        : []),
      ...halves(text).map((half) => delta({ content: half, reasoning_content: null })),
      ...(step === 'call'
        ? [
            delta({ tool_calls: [{ index: 0, id: CALL_ID, type: 'function', function: fn('') }] }),
            ...halves(args).map((half) => delta({ tool_calls: [{ index: 0, function: { arguments: half } }] })),
          ]
        : []),
      delta({ content: '', reasoning_content: null }, finish_reason),
      chunk({ choices: [], usage }),
      'data: [DONE]\n\n',
    ]);
  },
  refuse(status, message, response) {
    json(
      response,
      { error: { message, type: status === 400 ? 'invalid_request_error' : 'server_error', param: null, code: null } },
      status,
    );
  },
};
