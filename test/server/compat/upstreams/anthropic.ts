/** Anthropic's Messages as the API itself answers, thinking with its signature included. */
import { z } from 'zod';
import { anthropic } from '../../../../server/providers/anthropic.ts';
import type { ProviderKind } from '../../../../server/providers/kind.ts';
import { minimax } from '../../../../server/providers/minimax.ts';
import {
  CLAUDE_SIGNATURES,
  halves,
  json,
  must,
  STORY,
  type Step,
  sse,
  stream,
  type TrueUpstream,
  USED,
} from './story.ts';

const CALL = { type: 'tool_use', id: 'toolu_01A9bC', name: STORY.tool.name, input: STORY.call } as const;

const Mark = z.strictObject({ type: z.literal('ephemeral'), ttl: z.enum(['5m', '1h']).optional() });
const mark = { cache_control: Mark.nullish() };
const Text = z.strictObject({
  type: z.literal('text'),
  text: z.string().min(1),
  citations: z.null().optional(),
  ...mark,
});
const Block = z.discriminatedUnion('type', [
  Text,
  z.strictObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string().min(1) }),
  z.strictObject({ type: z.literal('redacted_thinking'), data: z.string().min(1) }),
  z.strictObject({
    type: z.literal('tool_use'),
    id: z.string().regex(/^[\w-]+$/),
    name: z.string(),
    input: z.looseObject({}),
    caller: z.unknown().optional(),
    ...mark,
  }),
  z.strictObject({
    type: z.literal('tool_result'),
    tool_use_id: z.string(),
    content: z.union([z.string(), z.array(Text)]).optional(),
    is_error: z.boolean().optional(),
    ...mark,
  }),
]);
const Request = z.strictObject({
  model: z.string(),
  max_tokens: z.number().int().positive(),
  system: z.union([z.string(), z.array(Text)]).optional(),
  messages: z
    .array(
      z.strictObject({ role: z.enum(['user', 'assistant']), content: z.union([z.string(), z.array(Block).min(1)]) }),
    )
    .min(1),
  tools: z
    .array(
      z.strictObject({
        name: z.string(),
        description: z.string().optional(),
        input_schema: z.looseObject({ type: z.literal('object') }),
        strict: z.boolean().optional(),
        ...mark,
      }),
    )
    .optional(),
  tool_choice: z.looseObject({ type: z.enum(['auto', 'any', 'tool', 'none']) }).optional(),
  thinking: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('enabled'), budget_tokens: z.number().min(1024) }),
      z.strictObject({ type: z.literal('disabled') }),
    ])
    .optional(),
  output_config: z.looseObject({}).optional(),
  context_management: z.looseObject({ edits: z.array(z.unknown()) }).optional(),
  metadata: z.strictObject({ user_id: z.string().nullish() }).optional(),
  stop_sequences: z.array(z.string()).optional(),
  temperature: z.number().min(0).max(1).optional(),
  stream: z.boolean().optional(),
});

const usage = { input_tokens: 20, cache_creation_input_tokens: 0, cache_read_input_tokens: USED.cached };
const head = (content: unknown[], stop: string | null, output: number) => ({
  id: 'msg_01Up',
  type: 'message',
  role: 'assistant',
  model: 'claude-sonnet-4-5-20250929',
  content,
  stop_reason: stop,
  stop_sequence: null,
  usage: { ...usage, output_tokens: output, service_tier: 'standard' },
});

interface Host {
  readonly kind: ProviderKind;
  readonly model: string;
  readonly path: string;
  readonly seal: string;
  readonly reads: readonly string[];
}

function upstreamOf({ kind, model, path, seal, reads }: Host): TrueUpstream {
  return {
    protocol: 'messages',
    kind,
    model,
    basePath: path.replace(/\/messages$/, ''),
    seal,
    reads,
    cached: USED.cached,
    read({ url, body }) {
      must(url === path, `POST ${url}`);
      const request = Request.parse(body);
      must(request.model === model, `no model ${request.model}`);
      if (request.thinking?.type === 'enabled') {
        must(request.thinking.budget_tokens < request.max_tokens, 'budget_tokens must be below max_tokens');
      }
      let open: string[] = [];
      let role = 'assistant';
      let last: readonly z.infer<typeof Block>[] = [];
      for (const message of request.messages) {
        must(message.role !== role, `two ${role} messages in a row`);
        role = message.role;
        const blocks =
          typeof message.content === 'string' ? [{ type: 'text' as const, text: message.content }] : message.content;
        const answered = blocks.flatMap((block) => (block.type === 'tool_result' ? [block.tool_use_id] : []));
        must(
          open.every((id) => answered.includes(id)),
          'tool_use ids without tool_result',
        );
        must(
          answered.every((id) => open.includes(id)),
          'unexpected tool_use_id in tool_result',
        );
        must(
          answered.length === 0 || blocks.slice(0, answered.length).every(({ type }) => type === 'tool_result'),
          'results must come first',
        );
        for (const block of blocks) {
          if (block.type === 'thinking')
            must(reads.includes(block.signature), 'Invalid `signature` in `thinking` block');
          if (block.type === 'redacted_thinking') throw new Error('Invalid `data` in `redacted_thinking` block');
        }
        open = blocks.flatMap((block) => (block.type === 'tool_use' ? [block.id] : []));
        if (role === 'assistant') last = blocks;
      }
      must(role === 'user', 'no prefill here');
      if (request.thinking?.type === 'enabled' && last.some(({ type }) => type === 'tool_use')) {
        must(/thinking/.test(last[0]!.type), 'Expected `thinking` or `redacted_thinking`, but found something else');
      }
      const final = JSON.stringify(request.messages.at(-1));
      const step: Step = final.includes('tool_result') ? 'report' : final.includes(STORY.question) ? 'call' : 'greet';
      if (step !== 'greet')
        must(
          request.tools?.some(({ name }) => name === STORY.tool.name),
          'no tools',
        );
      return { step, stream: request.stream === true };
    },
    answer(step, streams, response) {
      const text = { greet: STORY.greeted, call: STORY.plan, report: STORY.report }[step];
      const thinking = { type: 'thinking', thinking: STORY.thought, signature: seal };
      const content = step === 'call' ? [thinking, { type: 'text', text }, CALL] : [{ type: 'text', text }];
      const stop = step === 'call' ? 'tool_use' : 'end_turn';
      if (!streams) {
        json(response, head(content, stop, USED.output));
        return;
      }
      const frames: string[] = [];
      const emit = (type: string, fields: object) => frames.push(sse({ type, ...fields }, type));
      emit('message_start', { message: head([], null, 1) });
      let index = 0;
      const block = (start: object, deltas: object[]) => {
        emit('content_block_start', { index, content_block: start });
        if (index === 0) emit('ping', {});
        for (const delta of deltas) emit('content_block_delta', { index, delta });
        emit('content_block_stop', { index: index++ });
      };
      if (step === 'call') {
        block({ type: 'thinking', thinking: '', signature: '' }, [
          ...halves(STORY.thought).map((half) => ({ type: 'thinking_delta', thinking: half })),
          { type: 'signature_delta', signature: seal },
        ]);
      }
      block(
        { type: 'text', text: '' },
        halves(text).map((half) => ({ type: 'text_delta', text: half })),
      );
      if (step === 'call') {
        block({ ...CALL, input: {} }, [
          { type: 'input_json_delta', partial_json: '' },
          ...halves(JSON.stringify(STORY.call)).map((half) => ({ type: 'input_json_delta', partial_json: half })),
        ]);
      }
      emit('message_delta', {
        delta: { stop_reason: stop, stop_sequence: null },
        usage: { output_tokens: USED.output },
      });
      emit('message_stop', {});
      stream(response, frames);
    },
    refuse(status, message, response) {
      const type = status === 400 ? 'invalid_request_error' : status === 529 ? 'overloaded_error' : 'api_error';
      json(response, { type: 'error', error: { type, message }, request_id: 'req_up' }, status);
    },
  };
}

export const anthropicUpstream = upstreamOf({
  kind: anthropic,
  model: 'claude-sonnet-4-5',
  path: '/v1/messages',
  seal: CLAUDE_SIGNATURES[0]!,
  reads: CLAUDE_SIGNATURES,
});

/** MiniMax speaks the protocol too, and signs by itself. */
export const minimaxUpstream = upstreamOf({
  kind: { ...minimax, protocols: ['messages'] },
  model: 'MiniMax-M2',
  path: '/anthropic/v1/messages',
  seal: '5d41402abc4b2a76b9719d911017c592',
  reads: ['5d41402abc4b2a76b9719d911017c592'],
});
