/** The turns of a conversation as Gemini's `contents`: parts under two roles, with the signatures of Gemini's own thoughts. */
import { isObject } from '../../forward/usage.ts';
import type {
  Block,
  Conversation,
  Maker,
  Sealed,
  ThinkingBlock,
  ToolCallBlock,
  ToolResultBlock,
} from '../conversation.ts';
import { Untranslatable } from '../protocol.ts';
import { mediaPart } from './media.ts';

export type Part = Record<string, unknown>;

export interface Content {
  readonly role: 'user' | 'model';
  readonly parts: Part[];
}

/** Google's documented stand-in for the signature of a call that another model made. */
export const SKIP_SIGNATURE = 'skip_thought_signature_validator';

export interface ContentsOptions {
  /** From Gemini 3 on: signatures are checked, and functions may answer with images. */
  readonly third: boolean;
  readonly maker: Maker;
}

/**
 * Turns of one role that follow each other become one. Thinking goes back only where Gemini sealed it: what another
 * model thought is no business of this one. A signature without words goes on the call after it, else on the text
 * before it, else on the text after it; with neither it travels in an empty text, as Gemini itself sends it.
 */
export function writeContents({ turns }: Conversation, options: ContentsOptions): Content[] {
  const names = new Map<string, string>();
  const contents: Content[] = [];
  for (const { role, blocks } of turns) {
    for (const block of blocks) if (block.type === 'tool_call') names.set(block.id, block.name);
    const parts = role === 'user' ? userParts(blocks, names, options) : modelParts(blocks, options);
    if (parts.length === 0) continue;
    const of = role === 'user' ? 'user' : 'model';
    const last = contents.at(-1);
    if (last?.role === of) last.parts.push(...parts);
    else contents.push({ role: of, parts });
  }
  if (options.third) signOpenCalls(contents);
  return contents;
}

function userParts(blocks: readonly Block[], names: ReadonlyMap<string, string>, options: ContentsOptions): Part[] {
  const parts: Part[] = [];
  const shown: Part[] = [];
  for (const block of blocks) {
    if (block.type === 'text') parts.push(...textParts(block.text));
    else if (block.type === 'tool_result') parts.push(responsePart(block, names, options, shown));
    else if (block.type === 'tool_call') throw new Untranslatable('messages', 'a tool call is not the user’s to make');
    else if (block.type !== 'thinking') parts.push(mediaPart(block));
  }
  return [...parts, ...shown];
}

/** @param shown gets the images that an older model can only be shown beside its functions' responses */
function responsePart(
  { callId, content, isError }: ToolResultBlock,
  names: ReadonlyMap<string, string>,
  { third }: ContentsOptions,
  shown: Part[],
): Part {
  const name = names.get(callId);
  if (name === undefined) {
    throw new Untranslatable('messages', `the tool result for ${JSON.stringify(callId)} answers no call before it`);
  }
  // Under `output` text stays text: an object given as the whole response has its `$ref` words interpreted.
  const text = content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n');
  const media = content.flatMap((block) => (block.type === 'text' ? [] : [mediaPart(block)]));
  if (!third) shown.push(...media);
  const parts = third && media.length > 0 && { parts: media };
  return { functionResponse: { id: callId, name, response: { [isError ? 'error' : 'output']: text }, ...parts } };
}

function modelParts(blocks: readonly Block[], { maker }: ContentsOptions): Part[] {
  const parts: Part[] = [];
  /** A signature on its way to the part that follows it. */
  let ahead: string | undefined;
  const push = (part: Part, own?: string) => {
    const signature = own ?? ahead;
    ahead = undefined;
    parts.push(signature === undefined ? part : { ...part, thoughtSignature: signature });
  };
  blocks.forEach((block, i) => {
    if (block.type === 'text') for (const part of textParts(block.text)) push(part);
    else if (block.type === 'thinking') {
      const signature = readable(block.sealed, maker);
      if (signature === undefined) return;
      const next = blocks[i + 1];
      const thought = { text: block.text, thought: true };
      const last = parts.at(-1);
      if (next?.type === 'tool_call' && readable(next.sealed, maker) === undefined) {
        if (shows(block)) parts.push(thought);
        ahead = signature;
      } else if (shows(block)) push(thought, signature);
      else if (last !== undefined && isText(last) && last.thoughtSignature === undefined) {
        last.thoughtSignature = signature;
      } else if (next?.type === 'text' && next.text !== '') ahead = signature;
      else push({ text: '' }, signature);
    } else if (block.type === 'tool_call') push(callPart(block), readable(block.sealed, maker));
    else if (block.type === 'tool_result') {
      throw new Untranslatable('messages', 'a tool result is not the assistant’s to give');
    } else push(mediaPart(block));
  });
  return parts;
}

/** Gemini's own thinking in words; without words there is only its signature, which belongs to a part beside it. */
const shows = ({ text, redacted }: ThinkingBlock) => text !== '' && redacted !== true;

const isText = (part: Part) => 'text' in part && part.thought !== true;

const readable = (sealed: Sealed | undefined, maker: Maker) => (sealed?.by === maker ? sealed.data : undefined);

/** Gemini refuses empty parts. */
const textParts = (text: string): Part[] => (text === '' ? [] : [{ text }]);

const callPart = ({ id, name, arguments: json }: ToolCallBlock): Part => ({
  functionCall: { id, name, args: argsOf(json) },
});

/** Arguments must be an object; what a model wrote instead is kept under `input`. */
function argsOf(json: string): Record<string, unknown> {
  if (json.trim() === '') return {};
  try {
    const args: unknown = JSON.parse(json);
    return isObject(args) ? args : { input: args };
  } catch {
    return { input: json };
  }
}

/**
 * In the tool loop that is still open, which began with the last turn that held no function's response, Gemini 3
 * checks that the first call of each step is signed. A call of another model is not: it gets the stand-in.
 */
function signOpenCalls(contents: readonly Content[]): void {
  const start = contents.findLastIndex(
    ({ role, parts }) => role === 'user' && !parts.some((part) => 'functionResponse' in part),
  );
  for (const { role, parts } of contents.slice(start + 1)) {
    if (role !== 'model') continue;
    const first = parts.find((part) => 'functionCall' in part);
    if (first !== undefined) first.thoughtSignature ??= SKIP_SIGNATURE;
  }
}
