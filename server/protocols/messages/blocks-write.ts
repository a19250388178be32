/** Blocks of a conversation → content blocks of a Messages request. */
import { createHash } from 'node:crypto';
import { isObject } from '../../forward/usage.ts';
import type {
  Block,
  CacheMark,
  FileBlock,
  ImageBlock,
  Maker,
  Source,
  TextBlock,
  ThinkingBlock,
  Tool,
  ToolCallBlock,
  ToolResultBlock,
  Turn,
} from '../conversation.ts';
import { Untranslatable } from '../protocol.ts';

type Written = Record<string, unknown>;

export interface WriteBlocks {
  /** Whose sealed reasoning the model reads. */
  readonly maker: Maker;
  /** Thinking is on for the answer to come. */
  readonly thinks: boolean;
  readonly marks: MarkBudget;
}

/** Anthropic takes four cache marks. Of more, the first keeps what changes least, the last three what grows. */
export class MarkBudget {
  readonly #marked: number;
  #next = 0;

  /** @param places all that can bear a mark, in the order in which they will be written */
  constructor(places: readonly (Tool | Block)[]) {
    this.#marked = places.reduce((marked, place) => marked + marksOn(place), 0);
  }

  take(cache: CacheMark | undefined): Written | undefined {
    if (cache === undefined) return undefined;
    const at = this.#next++;
    if (at > 0 && at < this.#marked - 3) return undefined;
    return { type: 'ephemeral', ...(cache.ttl && { ttl: cache.ttl }) };
  }
}

function marksOn(place: Tool | Block): number {
  if ('type' in place && place.type === 'thinking') return 0;
  const own = place.cache === undefined ? 0 : 1;
  return own + ('content' in place ? place.content.filter(({ cache }) => cache !== undefined).length : 0);
}

export const systemBlock = (block: TextBlock, marks: MarkBudget): Written | null => writePlain(block, marks);

/** @param last nothing follows this turn: an assistant's is one to be gone on from */
export function turnBlocks({ role, blocks }: Turn, writing: WriteBlocks, last: boolean): Written[] {
  const prefill = last && role === 'assistant';
  const content = blocks.map((block) => writeBlock(block, writing, prefill)).filter((block) => block !== null);
  if (role === 'user') return content;
  // A turn may not end in thinking, nor one that is to be gone on from in space.
  while (isThinking(content.at(-1))) content.pop();
  const end = content.at(-1);
  if (prefill && end?.type === 'text') content[content.length - 1] = { ...end, text: String(end.text).trimEnd() };
  return content;
}

const isThinking = (block: Written | undefined) => block?.type === 'thinking' || block?.type === 'redacted_thinking';

function writeBlock(block: Block, writing: WriteBlocks, prefill: boolean): Written | null {
  if (block.type === 'thinking') return prefill && !writing.thinks ? null : writeThinking(block, writing.maker);
  if (block.type === 'audio') throw new Untranslatable('input_audio', 'Anthropic’s protocol takes no audio');
  if (block.type === 'tool_result') return writeResult(block, writing.marks);
  if (block.type === 'tool_call') return { ...writeCall(block), ...marked(block.cache, writing.marks) };
  return writePlain(block, writing.marks);
}

function writeResult({ callId, content, isError, cache }: ToolResultBlock, marks: MarkBudget): Written {
  const parts = content.map((part) => writePlain(part, marks)).filter((part) => part !== null);
  return {
    type: 'tool_result',
    tool_use_id: toolId(callId),
    ...(parts.length > 0 && { content: parts }),
    ...(isError && { is_error: true }),
    ...marked(cache, marks),
  };
}

function writePlain(block: TextBlock | ImageBlock | FileBlock, marks: MarkBudget): Written | null {
  const mark = marked(block.cache, marks);
  if (block.type === 'text') return block.text.trim() === '' ? null : { type: 'text', text: block.text, ...mark };
  if (block.type === 'image') return { type: 'image', source: writeImageSource(block.source), ...mark };
  const title = block.name === undefined ? {} : { title: block.name };
  return { type: 'document', source: writeDocumentSource(block.source), ...title, ...mark };
}

function marked(cache: CacheMark | undefined, marks: MarkBudget): { cache_control?: Written } {
  const mark = marks.take(cache);
  return mark === undefined ? {} : { cache_control: mark };
}

const IMAGES = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);

function writeImageSource(source: Source): Written {
  if (source.kind === 'base64' && !IMAGES.has(source.mediaType)) {
    throw new Untranslatable('image_url', `Anthropic’s protocol takes no ${source.mediaType}`);
  }
  return writeSource(source);
}

function writeDocumentSource(source: Source): Written {
  if (source.kind !== 'base64' || source.mediaType === 'application/pdf') return writeSource(source);
  if (!source.mediaType.startsWith('text/')) {
    throw new Untranslatable('file', `Anthropic’s protocol takes no ${source.mediaType}, only PDF and text`);
  }
  return { type: 'text', media_type: 'text/plain', data: Buffer.from(source.data, 'base64').toString() };
}

function writeSource(source: Source): Written {
  if (source.kind === 'base64') return { type: 'base64', media_type: source.mediaType, data: source.data };
  if (source.kind === 'url') return { type: 'url', url: source.url };
  // OpenAI's ids look like `file-…`: there is nothing behind them here.
  if (!source.fileId.startsWith('file_')) throw new Untranslatable('file_id', 'is not a file that Anthropic holds');
  return { type: 'file', file_id: source.fileId };
}

/** Reasoning of another maker, or unsigned, would be refused: a model cannot read what it did not think. */
function writeThinking({ text, sealed, redacted }: ThinkingBlock, maker: Maker): Written | null {
  if (sealed === undefined || sealed.by !== maker || sealed.data === '') return null;
  if (redacted === true) return { type: 'redacted_thinking', data: sealed.data };
  return { type: 'thinking', thinking: text, signature: sealed.data };
}

function writeCall({ id, name, arguments: json }: ToolCallBlock): Written {
  return { type: 'tool_use', id: toolId(id), name, input: inputOf(json) };
}

/**
 * A call's arguments as the object that Anthropic wants. What a model wrote that is none is handed over as what it
 * was, so that the model sees its mistake in place of a call it did not make.
 */
export function inputOf(json: string): Record<string, unknown> {
  if (json.trim() === '') return {};
  try {
    const input: unknown = JSON.parse(json);
    return isObject(input) ? input : { value: input };
  } catch {
    return { invalid_json: json };
  }
}

/** Call and result get the same id, whatever it is made of. */
export const toolId = (id: string): string =>
  /^[\w-]+$/.test(id) ? id : `toolu_${createHash('sha256').update(id).digest('hex').slice(0, 24)}`;
