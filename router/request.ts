/** A chat request → what the router looks at: the text that matters, and facts. */
import { z } from 'zod';
import { RoutingError } from '../datasets/index.ts';
import { canonicalText } from './encoder/canonical-text.ts';
import { isEmptyTalk } from './encoder/empty-talk.ts';

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
  /** Characters of the last user turn before it was cut. */
  readonly chars: number;
  /** Absent where no tool has answered yet. */
  readonly toolResults?: ToolResults;
}

/** What tools answered: all that routing knows of it, since their text says nothing of how hard the task is. */
export interface ToolResults {
  readonly count: number;
  /** Estimated, over all of them. */
  readonly tokens: number;
  /** Those that report a failure: flagged, or beginning with an error. */
  readonly errors: number;
  /** True when the conversation ends with one: the model is to act on it. */
  readonly latest: boolean;
}

export interface RoutingInput {
  /** What is encoded: the last user turn, before it up to two earlier ones that say something; head and tail of a long one. */
  readonly text: string;
  readonly facts: RequestFacts;
}

const Part = z.looseObject({ type: z.string(), text: z.string().optional() });
const Message = z.looseObject({
  role: z.string().min(1),
  content: z.union([z.string(), z.array(Part)], 'must be a text or a list of parts, each with its type').nullish(),
  tool_calls: z.array(z.unknown()).nullish(),
});
type Message = z.infer<typeof Message>;

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
/** Earlier user turns that are routed on, and the characters they share: what a short one leaves goes to the other. */
const EARLIER_TURNS = 2;
const EARLIER_CHARS = 2000;
/** No greeting is longer. */
const LONGEST_EMPTY = 200;
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
  const read = messages.map(readMessage);
  const sum = (count: (message: MessageContent) => number): number => read.reduce((s, m) => s + count(m), 0);
  const images = sum((m) => m.images);
  const audio = sum((m) => m.audio);
  if (!read.some((m) => m.text !== '' || m.images > 0 || m.audio > 0 || m.other || m.toolTexts.some((t) => t !== ''))) {
    throw new RoutingError('INVALID_REQUEST', 'messages: nothing to answer, every message is empty');
  }
  const userTurns = read.filter((m) => m.role === 'user' && m.text.trim() !== '').map((m) => m.text);
  const last = userTurns.at(-1) ?? spoken(read);
  const schemas = [tools, response_format?.json_schema].filter((schema) => schema);
  const tokens = sum((m) => m.tokens) + schemas.reduce<number>((s, schema) => s + jsonTokens(schema), 0);
  const maxOutputTokens = max_completion_tokens ?? max_tokens ?? undefined;
  const toolTexts = read.flatMap((m) => m.toolTexts);
  return {
    text: withContext(last, userTurns.slice(0, -1)),
    facts: {
      inputTokens: Math.ceil(tokens) + images * IMAGE_TOKENS,
      ...(maxOutputTokens !== undefined && { maxOutputTokens }),
      images,
      audio,
      tools: tools?.length ?? 0,
      responseSchema: response_format?.type === 'json_schema',
      turns: userTurns.length,
      chars: last.length,
      ...(toolTexts.length > 0 && {
        toolResults: {
          count: toolTexts.length,
          tokens: Math.ceil(toolTexts.reduce((s, text) => s + estimateTokens(text), 0)),
          errors: sum((m) => m.toolErrors),
          latest: read.at(-1)!.toolTexts.length > 0,
        },
      }),
    },
  };
}

/**
 * A follow-up and what it follows: a short one would mean nothing by itself. Turns that are but a greeting or
 * thanks are passed over, and every turn is freed of such talk, which would stand in the middle of the text.
 * Turns are joined by a blank: the lines of a text are counted, and a turn is no line of the task.
 */
function withContext(last: string, before: readonly string[]): string {
  const earlier: string[] = [];
  for (let k = before.length - 1; k >= 0 && earlier.length < EARLIER_TURNS; k--) {
    if (before[k]!.length > LONGEST_EMPTY || !isEmptyTalk(before[k]!)) earlier.unshift(before[k]!);
  }
  if (earlier.length === 0) return promptText(last);
  const shortest = Math.min(...earlier.map((turn) => turn.length));
  const most = earlier.length === 1 ? EARLIER_CHARS : Math.max(EARLIER_CHARS / 2, EARLIER_CHARS - shortest);
  const context = earlier.map((turn) => `${canonicalText(cut(turn, 0.7 * most, 0.3 * most))} `).join('');
  return context + canonicalText(cut(last, HEAD_CHARS - context.length, TAIL_CHARS));
}

/** Without a user turn: what system and assistant said. */
const spoken = (messages: readonly MessageContent[]): string =>
  messages
    .map((m) => m.text)
    .filter((text) => text !== '')
    .join('\n');

interface MessageContent {
  readonly role: string;
  /** Its texts, one to a line; those of tools are not among them. */
  readonly text: string;
  readonly tokens: number;
  readonly images: number;
  readonly audio: number;
  /** Holds a file, or whatever clients send next. */
  readonly other: boolean;
  readonly toolTexts: readonly string[];
  readonly toolErrors: number;
}

function readMessage({ role, content, tool_calls }: Message): MessageContent {
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : (content ?? []);
  let tokens = tool_calls ? jsonTokens(tool_calls) : 0;
  let images = 0;
  let audio = 0;
  let other = false;
  let toolErrors = 0;
  const texts: string[] = [];
  const toolTexts: string[] = [];
  for (const part of parts) {
    if (part.type === 'image_url' || part.type === 'input_image' || part.type === 'image') images++;
    else if (part.type === 'input_audio') audio++;
    else if (part.type === 'tool_result') {
      const { content: result, is_error } = part as { content?: unknown; is_error?: unknown };
      toolTexts.push(typeof result === 'string' ? result : JSON.stringify(result ?? ''));
      if (is_error === true) toolErrors++;
    } else if (part.text !== undefined) texts.push(part.text);
    else {
      other = true;
      tokens += JSON.stringify(part).length / FILE_CHARS_PER_TOKEN;
    }
  }
  let text = texts.join('\n');
  if (role === 'tool' || role === 'function') {
    toolTexts.push(text);
    if (REPORTS_FAILURE.test(text)) toolErrors++;
    text = '';
  }
  for (const said of [text, ...toolTexts]) tokens += estimateTokens(said);
  return { role, text, tokens, images, audio, other, toolTexts, toolErrors };
}

/** `Error: …`, `TypeError: …`, `Traceback …`, `{"error": …}`. */
const REPORTS_FAILURE =
  /^[\s{["']{0,8}(?:[Ee]rror|ERROR|[Ee]xception|Traceback|[Ff]ailed|[Ff]ailure|[A-Z]\w{1,40}(?:Error|Exception))\b/;

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
  return text.length <= head + tail ? text : `${text.slice(0, head)}\n${text.slice(text.length - tail)}`;
}
