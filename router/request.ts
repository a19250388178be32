/** A chat request → what the router looks at: the text that matters, and facts. */
import { z } from 'zod';
import { RoutingError } from '../datasets/index.ts';

/** Facts about a request. Counts and flags; no text. */
export interface RequestFacts {
  /** Estimated tokens of the whole input, see {@link estimateTokens}; tool and answer schemas, tool calls and files included, images at 1 000 each. */
  readonly inputTokens: number;
  /** Upper bound the client set on the answer, if any. */
  readonly maxOutputTokens?: number;
  readonly images: number;
  readonly audio: number;
  /** Tools offered. */
  readonly tools: number;
  /** True when the answer must follow a JSON schema. */
  readonly responseSchema: boolean;
  /** User turns in the conversation. */
  readonly turns: number;
  /** Characters of the routed text before it was cut. */
  readonly chars: number;
}

export interface RoutingInput {
  /** What is encoded: the last user turn, before it up to two earlier ones; head and tail of a long one. */
  readonly text: string;
  readonly facts: RequestFacts;
}

const Part = z.looseObject({ type: z.string(), text: z.string().optional() });
const Message = z.looseObject({
  role: z.string().min(1),
  content: z.union([z.string(), z.array(Part)], 'must be a text or a list of parts, each with its type').nullish(),
  tool_calls: z.array(z.unknown()).nullish(),
});

/** The parts of an OpenAI chat request that routing reads; everything else passes through untouched. */
export const RoutableRequest = z.looseObject({
  messages: z.array(Message).min(1, 'must hold at least one message'),
  max_tokens: z.number().int().positive().nullish(),
  max_completion_tokens: z.number().int().positive().nullish(),
  tools: z.array(z.unknown()).nullish(),
  response_format: z.looseObject({ type: z.string() }).nullish(),
});
export type RoutableRequest = z.input<typeof RoutableRequest>;

/** Characters kept of a routed text: what stands first and what stands last tell most. */
const HEAD_CHARS = 2800;
const TAIL_CHARS = 1200;
const IMAGE_TOKENS = 1000;
/** A page of a PDF is some 100 kB in base64 and some 2 500 tokens. Rough: no fact of a file is read. */
const FILE_CHARS_PER_TOKEN = 40;

/**
 * Reads a chat request. @throws `INVALID_REQUEST` with the path of the field at fault
 */
export function readRequest(request: unknown): RoutingInput {
  const parsed = RoutableRequest.safeParse(request);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new RoutingError('INVALID_REQUEST', `${issue.path.join('.') || 'request'}: ${issue.message}`);
  }
  const { messages, tools, response_format, max_tokens, max_completion_tokens } = parsed.data;
  let chars = 0;
  let tokens = 0;
  let images = 0;
  let audio = 0;
  let other = false; // a file, or whatever clients send next
  const said: string[] = [];
  const userTurns: string[] = [];
  for (const schema of [tools, response_format?.json_schema]) if (schema) tokens += jsonTokens(schema);
  for (const { role, content, tool_calls } of messages) {
    const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : (content ?? []);
    const texts: string[] = [];
    for (const part of parts) {
      if (part.type === 'image_url' || part.type === 'input_image' || part.type === 'image') images++;
      else if (part.type === 'input_audio') audio++;
      else if (part.text !== undefined) texts.push(part.text);
      else {
        other = true;
        tokens += JSON.stringify(part).length / FILE_CHARS_PER_TOKEN;
      }
    }
    const text = texts.join('\n');
    chars += text.length;
    tokens += estimateTokens(text) + (tool_calls ? jsonTokens(tool_calls) : 0);
    if (text !== '') said.push(text);
    if (role === 'user' && text.trim() !== '') userTurns.push(text);
  }
  if (chars === 0 && images === 0 && audio === 0 && !other) {
    throw new RoutingError('INVALID_REQUEST', 'messages: nothing to answer, every message is empty');
  }
  // Earlier turns give a short follow-up its context, but must not crowd the last one out.
  const last = userTurns.at(-1) ?? said.join('\n');
  const earlier = userTurns
    .slice(-3, -1)
    .map((turn) => `${cut(turn, 400, 200)}\n`)
    .join('');
  const text = earlier + cut(last, HEAD_CHARS - earlier.length, TAIL_CHARS);
  const maxOutputTokens = max_completion_tokens ?? max_tokens ?? undefined;
  return {
    text,
    facts: {
      inputTokens: Math.ceil(tokens) + images * IMAGE_TOKENS,
      ...(maxOutputTokens !== undefined && { maxOutputTokens }),
      images,
      audio,
      tools: tools?.length ?? 0,
      responseSchema: response_format?.type === 'json_schema',
      turns: userTurns.length,
      chars: last.length,
    },
  };
}

/**
 * Tokens of a text, without a tokenizer: 4 characters each in ASCII, 2 in other alphabets, 1 in
 * scripts without spaces and in emoji. Rather too many than too few: it decides what fits a context.
 */
export function estimateTokens(text: string): number {
  let quarters = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    quarters += c < 0x80 ? 1 : c < 0x2e80 ? 2 : 4;
  }
  return quarters / 4;
}

const jsonTokens = (value: unknown): number => estimateTokens(JSON.stringify(value));

/** The text routed for a bare prompt, as in datasets: the same cut as for a request. */
export const promptText = (text: string): string => cut(text, HEAD_CHARS, TAIL_CHARS);

function cut(text: string, head: number, tail: number): string {
  return text.length <= head + tail ? text : `${text.slice(0, head)}\n${text.slice(-tail)}`;
}
