/** Content blocks of a Messages request → blocks of a conversation. */
import { RoutingError } from '../../../datasets/index.ts';
import { isObject } from '../../forward/usage.ts';
import type {
  Block,
  CacheMark,
  FileBlock,
  ImageBlock,
  Source,
  TextBlock,
  ThinkingBlock,
  ToolCallBlock,
} from '../conversation.ts';
import { sealedFromText } from '../sealed.ts';
import { sealedCallId } from './sealed-call.ts';

type Fields = Readonly<Record<string, unknown>>;

/** @param only collects what no other protocol can say */
export function readBlocks(content: string | readonly unknown[], at: string, only: Set<string>): Block[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  const blocks = content.flatMap((block, i) => readBlock(object(block, `${at}.${i}`), `${at}.${i}`, only));
  return withSealedCalls(blocks);
}

function readBlock(block: Fields, at: string, only: Set<string>): Block[] {
  const { type } = block;
  if (type === 'thinking') return [readThinking(block, at)];
  if (type === 'redacted_thinking') {
    const sealed = sealedFromText(text(block, 'data', at), 'anthropic');
    return [{ type: 'thinking', text: '', sealed, redacted: true }];
  }
  if (type === 'tool_use') return [readCall(block, at)];
  if (type === 'tool_result') {
    const { content = '', is_error: isError } = block;
    if (content !== null && typeof content !== 'string' && !Array.isArray(content)) {
      throw invalid(`${at}.content`, 'must be a text or a list of blocks');
    }
    return [
      {
        type: 'tool_result',
        callId: text(block, 'tool_use_id', at),
        content: readResult(content, `${at}.content`, only),
        isError: isError === true,
        ...cacheOf(block),
      },
    ];
  }
  return readPlain(block, at, only);
}

function readResult(content: string | readonly unknown[] | null, at: string, only: Set<string>) {
  if (content === null || content === '') return [];
  if (typeof content === 'string') return [{ type: 'text' as const, text: content }];
  return content.flatMap((block, i) => readPlain(object(block, `${at}.${i}`), `${at}.${i}`, only));
}

/** Blocks that may stand in a message and in a tool's result. */
function readPlain(block: Fields, at: string, only: Set<string>): (TextBlock | ImageBlock | FileBlock)[] {
  const { type } = block;
  if (type === 'text') return [{ type, text: text(block, 'text', at), ...cacheOf(block) }];
  if (type === 'image') return [{ type, source: readSource(block, at), ...cacheOf(block) }];
  if (type === 'document') return readDocument(block, at, only);
  // Server tools' calls and results, search results, containers, whatever comes to be: Anthropic's alone.
  only.add(text(block, 'type', at).slice(0, 80));
  return [];
}

function readDocument(block: Fields, at: string, only: Set<string>): (TextBlock | ImageBlock | FileBlock)[] {
  if (isObject(block.citations) && block.citations.enabled === true) only.add('document.citations');
  if (typeof block.context === 'string' && block.context !== '') only.add('document.context');
  const source = object(block.source, `${at}.source`);
  if (source.type === 'content') {
    only.add('document.source.content');
    return [];
  }
  const name = typeof block.title === 'string' ? { name: block.title } : {};
  return [{ type: 'file', source: readSource(block, at), ...name, ...cacheOf(block) }];
}

function readSource(block: Fields, blockAt: string): Source {
  const at = `${blockAt}.source`;
  const source = object(block.source, at);
  const { type } = source;
  if (type === 'base64') {
    return { kind: 'base64', mediaType: text(source, 'media_type', at), data: text(source, 'data', at) };
  }
  if (type === 'url') return { kind: 'url', url: text(source, 'url', at) };
  if (type === 'file') return { kind: 'file', fileId: text(source, 'file_id', at) };
  if (type === 'text' && block.type === 'document') {
    return { kind: 'base64', mediaType: 'text/plain', data: Buffer.from(text(source, 'data', at)).toString('base64') };
  }
  throw invalid(`${at}.type`, 'must be base64, url or file');
}

/** A host that does not sign leaves the signature empty. */
function readThinking(block: Fields, at: string): ThinkingBlock {
  const thinking = { type: 'thinking' as const, text: text(block, 'thinking', at) };
  const { signature } = block;
  if (signature == null || signature === '') return thinking;
  return { ...thinking, sealed: sealedFromText(text(block, 'signature', at), 'anthropic') };
}

function readCall(block: Fields, at: string): ToolCallBlock {
  const { input = {} } = block;
  if (!isObject(input)) throw invalid(`${at}.input`, 'must be an object');
  const call = { type: 'tool_call' as const, id: text(block, 'id', at), name: text(block, 'name', at) };
  return { ...call, arguments: JSON.stringify(input), ...cacheOf(block) };
}

/** What sealed a call came to the client as a redacted block before it (see `sealed-call.ts`): put where it belongs. */
function withSealedCalls(blocks: readonly Block[]): Block[] {
  const seals = new Map<string, ToolCallBlock['sealed']>();
  const rest = blocks.filter((block) => {
    if (block.type !== 'thinking' || block.sealed === undefined) return true;
    const callId = sealedCallId(block.sealed);
    if (callId !== undefined) seals.set(callId, { by: block.sealed.by, data: block.sealed.data });
    return callId === undefined;
  });
  if (seals.size === 0) return rest;
  return rest.map((block) => {
    const sealed = block.type === 'tool_call' ? seals.get(block.id) : undefined;
    return sealed === undefined ? block : { ...(block as ToolCallBlock), sealed };
  });
}

/** The cache mark of a block, a tool or a request, to be spread. */
export function cacheOf({ cache_control: mark }: Fields): { cache?: CacheMark } {
  if (!isObject(mark)) return {};
  return { cache: mark.ttl === '5m' || mark.ttl === '1h' ? { ttl: mark.ttl } : {} };
}

function object(value: unknown, at: string): Fields {
  if (!isObject(value)) throw invalid(at, 'must be an object');
  return value;
}

function text(fields: Fields, name: string, at: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw invalid(`${at}.${name}`, 'must be a text');
  return value;
}

const invalid = (field: string, message: string) => new RoutingError('INVALID_REQUEST', `${field}: ${message}`);
