/** Content parts → a turn. The shapes name their parts differently and never the same name for two things, so one reader does. */
import { z } from 'zod';
import type { Turn } from './conversation.ts';
import { estimateTokens, fileTokens, jsonOf, jsonTokens, sealedTokens } from './tokens.ts';

export const Part = z.looseObject({ type: z.string(), text: z.string().optional() });
export type Part = z.infer<typeof Part>;

export const Content = z.union([z.string(), z.array(Part)], 'must be a text or a list of parts, each with its type');
export type Content = z.infer<typeof Content>;

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What {@link Content} accepts, told without making a copy of it. */
export function isContent(value: unknown): value is Content {
  if (typeof value === 'string') return true;
  if (!Array.isArray(value)) return false;
  for (const part of value) {
    if (!isObject(part) || typeof part.type !== 'string') return false;
    if (part.text !== undefined && typeof part.text !== 'string') return false;
  }
  return true;
}

/** What zod's positive integers are, or nothing. */
export const isLimit = (value: unknown): boolean => value == null || (Number.isSafeInteger(value) && Number(value) > 0);

/** A turn being read. */
export type Draft = { -readonly [K in keyof Turn]: Turn[K] } & { texts: string[]; calls: string[] };

export const draftOf = (role: string): Draft => ({
  role,
  texts: [],
  tokens: 0,
  images: 0,
  audio: 0,
  files: 0,
  toolImages: 0,
  toolFiles: 0,
  other: false,
  calls: [],
  toolResults: 0,
  toolTokens: 0,
  toolErrors: 0,
});

/** Adds what the parts say and hold. */
export function addContent(turn: Draft, content: Content | null | undefined): void {
  if (content == null) return;
  if (typeof content === 'string') addText(turn, content);
  else for (const part of content) addPart(turn, part);
}

function addText(turn: Draft, text: string): void {
  // Texts are joined by a line end.
  turn.tokens += estimateTokens(text) + (turn.texts.length > 0 ? 0.25 : 0);
  turn.texts.push(text);
}

function addPart(turn: Draft, part: Part): void {
  switch (part.type) {
    case 'image_url':
    case 'input_image':
    case 'image':
    case 'computer_screenshot':
      turn.images++;
      return;
    case 'input_audio':
      turn.audio++;
      return;
    case 'tool_result':
      addToolResult(turn, part.content, part.is_error === true);
      return;
    case 'tool_use':
    case 'server_tool_use':
    case 'mcp_tool_use':
      if (typeof part.name === 'string') turn.calls.push(part.name);
      turn.other = true;
      turn.tokens += jsonTokens(part.input ?? {}) + estimateTokens(String(part.name ?? ''));
      return;
    case 'thinking':
      turn.other = true;
      turn.tokens += typeof part.thinking === 'string' ? estimateTokens(part.thinking) : 0;
      return;
    case 'redacted_thinking':
      turn.other = true;
      turn.tokens += sealedTokens(part.data);
      return;
    case 'refusal':
      turn.other = true;
      turn.tokens += typeof part.refusal === 'string' ? estimateTokens(part.refusal) : 0;
      return;
    case 'document':
      addDocument(turn, part);
      return;
    case 'file':
    case 'input_file':
      addFile(turn, part);
      return;
  }
  if (part.text !== undefined) addText(turn, part.text);
  else {
    turn.other = true;
    turn.tokens += fileTokens(part);
  }
}

/**
 * What a tool answered: counted, not kept.
 * @param failed that it is a failure; undefined: its beginning tells
 */
export function addToolResult(turn: Draft, result: unknown, failed: boolean | undefined): void {
  const inner = draftOf('tool');
  if (typeof result === 'string' || isContent(result)) addContent(inner, result);
  // One part alone, as a screenshot is sent.
  else if (isContent([result])) addContent(inner, [result as Part]);
  else addContent(inner, result == null ? '' : jsonOf(result));
  const text = inner.texts.join('\n');
  turn.toolResults++;
  turn.toolTokens += estimateTokens(text);
  turn.tokens += inner.tokens;
  turn.toolImages += inner.images + inner.toolImages;
  turn.toolFiles += inner.files + inner.toolFiles;
  turn.audio += inner.audio;
  turn.other ||= inner.other;
  if (failed ?? REPORTS_FAILURE.test(text)) turn.toolErrors++;
}

/** `Error: …`, `TypeError: …`, `Traceback …`, `{"error": …}`. */
const REPORTS_FAILURE =
  /^[\s{["']{0,8}(?:[Ee]rror|ERROR|[Ee]xception|Traceback|[Ff]ailed|[Ff]ailure|[A-Z]\w{1,40}(?:Error|Exception))\b/;

/** Anthropic's document: bytes or an address are a file, plain text and blocks are what they are. Neither is what was asked. */
function addDocument(turn: Draft, part: Part): void {
  turn.other = true;
  const source = isObject(part.source) ? part.source : {};
  if (source.type === 'text' && typeof source.data === 'string') turn.tokens += estimateTokens(source.data);
  else if (source.type === 'content' && isContent(source.content)) {
    const inner = draftOf('document');
    addContent(inner, source.content);
    turn.tokens += inner.tokens;
    turn.images += inner.images;
    turn.files += inner.files;
  } else {
    turn.files++;
    turn.tokens += fileTokens(part);
  }
}

/** OpenAI's file, in either spelling. Text in a file needs no model that reads PDFs. */
function addFile(turn: Draft, part: Part): void {
  turn.other = true;
  turn.tokens += fileTokens(part);
  const file = isObject(part.file) ? part.file : part;
  const isText = typeof file.file_data === 'string' && file.file_data.startsWith('data:text/');
  if (!isText) turn.files++;
}
