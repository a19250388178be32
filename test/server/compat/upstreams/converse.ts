/** Amazon Bedrock's Converse: JSON, or AWS's event stream, with Claude's signed reasoning. */
import { z } from 'zod';
import { bedrock } from '../../../../server/providers/bedrock.ts';
import { event } from '../../protocols/converse-wire.ts';
import { CLAUDE_SIGNATURES, halves, json, must, STORY, type Step, stream, type TrueUpstream, USED } from './story.ts';

const SIGNATURE = CLAUDE_SIGNATURES[1]!;
const MODEL = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const CALL = { toolUseId: 'tooluse_K2hw', name: STORY.tool.name, input: STORY.call };

const Point = z.strictObject({
  cachePoint: z.strictObject({ type: z.literal('default'), ttl: z.string().optional() }),
});
const Text = z.strictObject({ text: z.string().regex(/\S/) });
const Block = z.union([
  Text,
  Point,
  z.strictObject({
    toolUse: z.strictObject({
      toolUseId: z.string().regex(/^[\w-]{1,64}$/),
      name: z.string(),
      input: z.looseObject({}),
    }),
  }),
  z.strictObject({
    toolResult: z.strictObject({
      toolUseId: z.string(),
      content: z.array(Text).min(1),
      status: z.enum(['error', 'success']).optional(),
    }),
  }),
  z.strictObject({
    reasoningContent: z.strictObject({ reasoningText: z.strictObject({ text: z.string(), signature: z.string() }) }),
  }),
]);
const Request = z.strictObject({
  messages: z.array(z.strictObject({ role: z.enum(['user', 'assistant']), content: z.array(Block).min(1) })).min(1),
  system: z.array(z.union([Text, Point])).optional(),
  inferenceConfig: z.strictObject({ maxTokens: z.number().optional(), temperature: z.number().optional() }).optional(),
  toolConfig: z
    .strictObject({
      tools: z.array(
        z.union([
          z.strictObject({
            toolSpec: z.strictObject({
              name: z.string(),
              description: z.string().min(1).optional(),
              inputSchema: z.strictObject({ json: z.looseObject({}) }),
              strict: z.boolean().optional(),
            }),
          }),
          Point,
        ]),
      ),
      toolChoice: z.looseObject({}).optional(),
    })
    .optional(),
  outputConfig: z.looseObject({}).optional(),
  additionalModelRequestFields: z
    .strictObject({
      thinking: z.strictObject({ type: z.literal('enabled'), budget_tokens: z.number().min(1024) }).optional(),
      tool_choice: z.looseObject({}).optional(),
    })
    .optional(),
});

const usage = {
  inputTokens: USED.input - USED.cached,
  outputTokens: USED.output,
  totalTokens: USED.input + USED.output,
  cacheReadInputTokens: USED.cached,
  cacheWriteInputTokens: 0,
};

export const converseUpstream: TrueUpstream = {
  protocol: 'converse',
  kind: bedrock,
  model: MODEL,
  basePath: '',
  seal: SIGNATURE,
  reads: CLAUDE_SIGNATURES,
  cached: USED.cached,
  read({ url, body }) {
    const path = `/model/${encodeURIComponent(MODEL)}/`;
    must(url === `${path}converse` || url === `${path}converse-stream`, `POST ${url}`);
    const request = Request.parse(body);
    const thinks = request.additionalModelRequestFields?.thinking;
    if (thinks)
      must(thinks.budget_tokens < (request.inferenceConfig?.maxTokens ?? 0), 'the budget must be below maxTokens');
    let open: string[] = [];
    let role = '';
    for (const { role: next, content } of request.messages) {
      must(next !== role, `two ${role} messages in a row`);
      role = next;
      const answered = content.flatMap((block) => ('toolResult' in block ? [block.toolResult.toolUseId] : []));
      must(
        open.length === answered.length && open.every((id) => answered.includes(id)),
        'toolResult and toolUse differ',
      );
      for (const block of content) {
        if (!('reasoningContent' in block)) continue;
        must(CLAUDE_SIGNATURES.includes(block.reasoningContent.reasoningText.signature), 'Invalid `signature`');
      }
      open = content.flatMap((block) => ('toolUse' in block ? [block.toolUse.toolUseId] : []));
      if (thinks && open.length > 0) must('reasoningContent' in content[0]!, 'Expected `thinking` first');
    }
    must(request.messages[0]!.role === 'user' && role === 'user', 'messages must begin and end with the user');
    const final = JSON.stringify(request.messages.at(-1));
    const step: Step = final.includes('toolResult') ? 'report' : final.includes(STORY.question) ? 'call' : 'greet';
    if (step !== 'greet') must((request.toolConfig?.tools.length ?? 0) > 0, 'no tools');
    return { step, stream: url.endsWith('-stream') };
  },
  answer(step, streams, response) {
    const text = { greet: STORY.greeted, call: STORY.plan, report: STORY.report }[step];
    const stopReason = step === 'call' ? 'tool_use' : 'end_turn';
    const reasoningText = { text: STORY.thought, signature: SIGNATURE };
    if (!streams) {
      const content =
        step === 'call' ? [{ reasoningContent: { reasoningText } }, { text }, { toolUse: CALL }] : [{ text }];
      json(response, {
        output: { message: { role: 'assistant', content } },
        stopReason,
        usage,
        metrics: { latencyMs: 5 },
      });
      return;
    }
    const frames = [event('messageStart', { role: 'assistant' })];
    let at = 0;
    const block = (deltas: object[], start?: object) => {
      if (start) frames.push(event('contentBlockStart', { contentBlockIndex: at, start }));
      for (const delta of deltas) frames.push(event('contentBlockDelta', { contentBlockIndex: at, delta }));
      frames.push(event('contentBlockStop', { contentBlockIndex: at++ }));
    };
    if (step === 'call') {
      block([
        ...halves(STORY.thought).map((half) => ({ reasoningContent: { text: half } })),
        { reasoningContent: { signature: SIGNATURE } },
      ]);
    }
    block(halves(text).map((half) => ({ text: half })));
    if (step === 'call') {
      const { input, ...start } = CALL;
      block(
        halves(JSON.stringify(input)).map((half) => ({ toolUse: { input: half } })),
        { toolUse: start },
      );
    }
    frames.push(event('messageStop', { stopReason }), event('metadata', { usage, metrics: { latencyMs: 5 } }));
    stream(response, frames, 'application/vnd.amazon.eventstream');
  },
  refuse(status, message, response) {
    response.setHeader('x-amzn-errortype', status === 400 ? 'ValidationException' : 'ServiceUnavailableException');
    json(response, { message }, status);
  },
};
