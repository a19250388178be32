/** Cohere's chat, version 2: thinking in the open, a plan before the tools, usage in two counts. */
import { z } from 'zod';
import { cohere } from '../../../../server/providers/cohere.ts';
import { halves, json, must, STORY, type Step, sse, stream, type TrueUpstream, USED } from './story.ts';

const MODEL = 'command-a-reasoning-08-2025';
const CALL_ID = 'read_thermometer_x1y2';

const Content = z.union([
  z.string(),
  z.array(
    z.discriminatedUnion('type', [
      z.strictObject({ type: z.literal('text'), text: z.string() }),
      z.strictObject({ type: z.literal('thinking'), thinking: z.string() }),
    ]),
  ),
]);
const Message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: Content }),
  z.strictObject({ role: z.literal('user'), content: Content }),
  z.strictObject({
    role: z.literal('assistant'),
    content: Content.optional(),
    tool_plan: z.string().optional(),
    tool_calls: z
      .array(
        z.strictObject({
          id: z.string(),
          type: z.literal('function'),
          function: z.strictObject({ name: z.string(), arguments: z.string() }),
        }),
      )
      .optional(),
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
        }),
      }),
    )
    .optional(),
  strict_tools: z.boolean().optional(),
  tool_choice: z.enum(['REQUIRED', 'NONE']).optional(),
  response_format: z.looseObject({}).optional(),
  max_tokens: z.number().optional(),
  temperature: z.number().optional(),
  thinking: z.strictObject({ type: z.enum(['enabled', 'disabled']), token_budget: z.number().optional() }).optional(),
  stream: z.boolean(),
});

const usage = {
  billed_units: { input_tokens: USED.input, output_tokens: USED.output },
  tokens: { input_tokens: USED.input + 500, output_tokens: USED.output },
  cached_tokens: 0,
};

export const cohereUpstream: TrueUpstream = {
  protocol: 'cohere',
  kind: cohere,
  model: MODEL,
  basePath: '/v2',
  cached: 0,
  read({ url, body }) {
    must(url === '/v2/chat', `POST ${url}`);
    const request = Request.parse(body);
    let open: string[] = [];
    for (const message of request.messages) {
      if (message.role === 'tool') {
        must(open.includes(message.tool_call_id), 'tool call id not found in previous tool calls');
        open = open.filter((id) => id !== message.tool_call_id);
        continue;
      }
      must(open.length === 0, 'some tool calls have no result');
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
    return { step, stream: request.stream };
  },
  answer(step, streams, response) {
    const text = { greet: STORY.greeted, call: STORY.plan, report: STORY.report }[step];
    const args = JSON.stringify(STORY.call);
    const finish_reason = step === 'call' ? 'TOOL_CALL' : 'COMPLETE';
    const fn = (json: string) => ({ name: STORY.tool.name, arguments: json });
    if (!streams) {
      const message =
        step === 'call'
          ? {
              role: 'assistant',
              content: [{ type: 'thinking', thinking: STORY.thought }],
              tool_plan: text,
              tool_calls: [{ id: CALL_ID, type: 'function', function: fn(args) }],
            }
          : { role: 'assistant', content: [{ type: 'text', text }] };
      json(response, { id: 'c14c80c3', message, finish_reason, usage });
      return;
    }
    const frames: string[] = [];
    const emit = (type: string, fields: object = {}) => frames.push(sse({ type, ...fields }, type));
    const content = (index: number, kind: 'text' | 'thinking', words: string) => {
      emit('content-start', { index, delta: { message: { content: { type: kind, [kind]: '' } } } });
      for (const half of halves(words))
        emit('content-delta', { index, delta: { message: { content: { [kind]: half } } } });
      emit('content-end', { index });
    };
    emit('message-start', {
      id: 'c14c80c3',
      delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } },
    });
    if (step === 'call') {
      content(0, 'thinking', STORY.thought);
      for (const half of halves(text)) emit('tool-plan-delta', { delta: { message: { tool_plan: half } } });
      emit('tool-call-start', {
        index: 0,
        delta: { message: { tool_calls: { id: CALL_ID, type: 'function', function: fn('') } } },
      });
      for (const half of halves(args)) {
        emit('tool-call-delta', { index: 0, delta: { message: { tool_calls: { function: { arguments: half } } } } });
      }
      emit('tool-call-end', { index: 0 });
    } else content(0, 'text', text);
    emit('message-end', { delta: { finish_reason, usage } });
    frames.push('data: [DONE]\n\n');
    stream(response, frames);
  },
  refuse(status, message, response) {
    json(response, { id: 'up', message }, status);
  },
};
