/** Turns → Converse's messages: roles that alternate, blocks in Bedrock's shapes, names and ids that it takes. */
import type {
  AudioBlock,
  Block,
  CacheMark,
  Conversation,
  FileBlock,
  ImageBlock,
  Source,
  ToolCallBlock,
  ToolResultBlock,
} from '../conversation.ts';
import { Untranslatable, type WriteTarget } from '../protocol.ts';
import type { Family } from './family.ts';
import { bedrockToolId } from './tool-ids.ts';

export type Json = Record<string, unknown>;

export interface Message {
  readonly role: 'user' | 'assistant';
  readonly content: Json[];
}

export interface TurnsOptions {
  readonly target: WriteTarget;
  readonly family: Family;
  /** False: calls and results are told as text, since Bedrock takes them only beside a list of tools. */
  readonly toolBlocks: boolean;
}

const IMAGE_FORMATS: ReadonlyMap<string, string> = new Map([
  ['image/png', 'png'],
  ['image/jpeg', 'jpeg'],
  ['image/jpg', 'jpeg'],
  ['image/gif', 'gif'],
  ['image/webp', 'webp'],
]);

const DOCUMENT_FORMATS: ReadonlyMap<string, string> = new Map([
  ['application/pdf', 'pdf'],
  ['text/csv', 'csv'],
  ['application/msword', 'doc'],
  ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', 'docx'],
  ['application/vnd.ms-excel', 'xls'],
  ['application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', 'xlsx'],
  ['text/html', 'html'],
  ['text/plain', 'txt'],
  ['text/markdown', 'md'],
]);

const AUDIO_FORMATS = new Set('aac flac m4a mka mkv mp3 mp4 mpeg mpga ogg opus pcm wav webm x-aac'.split(' '));

/** Bedrock refuses blank text, and a conversation that begins with the assistant or has an empty turn. */
const NO_OUTPUT = '(no output)';
const BEGINS_WITH_ASSISTANT = '(The conversation begins with the assistant.)';

/** @throws Untranslatable */
export function messagesOf({ turns }: Conversation, options: TurnsOptions): Message[] {
  const names = new DocumentNames();
  const messages: Message[] = [];
  for (const { role, blocks } of turns) {
    const content = blocks.flatMap((block) => blockOf(block, role, options, names));
    // A cache mark alone is no turn.
    if (!content.some((block) => !('cachePoint' in block))) continue;
    const last = messages.at(-1);
    if (last?.role === role) last.content.push(...content);
    else messages.push({ role, content });
  }
  if (messages.length === 0) throw new Untranslatable('messages', 'Bedrock needs at least one turn that is not blank');
  if (messages[0]!.role === 'assistant') messages.unshift({ role: 'user', content: [{ text: BEGINS_WITH_ASSISTANT }] });
  return messages.map(({ role, content }) => ({ role, content: role === 'user' ? userContent(content) : content }));
}

/** The conversation stands in a tool loop whose last call did not come with thinking that can go back to the model. */
export function standsInUnsignedLoop(messages: readonly Message[]): boolean {
  const [before, last] = messages.slice(-2);
  if (before?.role !== 'assistant' || !last?.content.some((block) => 'toolResult' in block)) return false;
  return !('reasoningContent' in before.content[0]!);
}

/** The marks that this model takes. */
export function cachePoint(cache: CacheMark | undefined, { kind, version }: Family): Json[] {
  if (cache === undefined || (kind !== 'claude' && kind !== 'nova')) return [];
  // Five minutes is what everybody does unasked; older models refuse the field.
  const hour = cache.ttl === '1h' && kind === 'claude' && (version === null || version >= 4.5);
  return [{ cachePoint: { type: 'default', ...(hour && { ttl: '1h' }) } }];
}

export const isBlank = (text: string): boolean => text.trim() === '';

/** Results must come before anything else that the user says, and a document needs text beside it. */
function userContent(content: readonly Json[]): Json[] {
  const results: Json[] = [];
  const others: Json[] = [];
  let into = others;
  for (const block of content) {
    // A cache point stays behind the block that it marks.
    if (!('cachePoint' in block)) into = 'toolResult' in block ? results : others;
    into.push(block);
  }
  const document = others.find((block) => 'document' in block)?.document as Json | undefined;
  if (document !== undefined && !others.some((block) => 'text' in block)) {
    others.unshift({ text: `Document: ${String(document.name)}` });
  }
  return [...results, ...others];
}

function blockOf(block: Block, role: 'user' | 'assistant', options: TurnsOptions, names: DocumentNames): Json[] {
  const { target, family, toolBlocks } = options;
  if (block.type === 'thinking') {
    const { sealed, redacted, text } = block;
    // Claude refuses thinking without its signature; the others want none back.
    if (family.kind !== 'claude' || sealed?.by !== 'anthropic' || role !== 'assistant') return [];
    if (redacted) return [{ reasoningContent: { redactedContent: redactedToBytes(sealed.data) } }];
    return [{ reasoningContent: { reasoningText: { text, signature: sealed.data } } }];
  }
  const mark = cachePoint(block.cache, family);
  if (block.type === 'text') return isBlank(block.text) ? [] : [{ text: block.text }, ...mark];
  if (block.type === 'tool_call') {
    const written = toolBlocks ? { toolUse: toolUse(block, target) } : { text: callAsText(block) };
    return [written, ...mark];
  }
  if (block.type === 'tool_result') return [...toolResult(block, options, names), ...mark];
  if (role === 'assistant') {
    throw new Untranslatable('messages', `Bedrock takes no ${block.type} in a turn of the assistant`);
  }
  return [mediaOf(block, names), ...mark];
}

function mediaOf(block: ImageBlock | FileBlock | AudioBlock, names: DocumentNames): Json {
  if (block.type === 'audio') {
    if (!AUDIO_FORMATS.has(block.format)) {
      throw new Untranslatable('messages', `Bedrock takes no audio of the format ${JSON.stringify(block.format)}`);
    }
    return { audio: { format: block.format, source: { bytes: block.data } } };
  }
  if (block.type === 'image')
    return { image: { format: formatOf(block.source, IMAGE_FORMATS, 'image'), source: bytes(block.source, 'image') } };
  const format = formatOf(block.source, DOCUMENT_FORMATS, 'document');
  return { document: { format, name: names.next(block.name), source: bytes(block.source, 'document') } };
}

function formatOf(source: Source, formats: ReadonlyMap<string, string>, what: string): string {
  // Which of the two a source is, `bytes` says.
  const type = source.kind === 'base64' ? source.mediaType.toLowerCase().split(';')[0]!.trim() : undefined;
  if (type === undefined) bytes(source, what);
  const format = type === undefined ? undefined : formats.get(type);
  if (format === undefined) {
    const known = [...formats.keys()].join(', ');
    throw new Untranslatable('messages', `Bedrock takes no ${what} of the type ${JSON.stringify(type)}, only ${known}`);
  }
  return format;
}

function bytes(source: Source, what: string): Json {
  if (source.kind === 'base64') return { bytes: source.data };
  const held = source.kind === 'url' ? 'by URL' : 'by the id of an uploaded file';
  throw new Untranslatable('messages', `Bedrock takes no ${what} ${held}: send its bytes in base64`);
}

/** Bedrock wants an object; what a model wrote instead of one is kept under a name of ours. */
function toolUse({ id, name, arguments: json }: ToolCallBlock, { dialect }: WriteTarget): Json {
  let input: unknown = {};
  if (!isBlank(json)) {
    try {
      input = JSON.parse(json);
    } catch {
      input = json;
    }
  }
  const isObject = typeof input === 'object' && input !== null && !Array.isArray(input);
  return {
    toolUseId: bedrockToolId(id, dialect),
    name: historicName(name),
    input: isObject ? input : { arguments: input },
  };
}

/** A name of an earlier turn's tool need only be one that Bedrock takes: today's are checked where they are declared. */
const historicName = (name: string): string => name.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64) || 'tool';

function toolResult(
  block: ToolResultBlock,
  { target, family, toolBlocks }: TurnsOptions,
  names: DocumentNames,
): Json[] {
  const content = block.content.flatMap((part): Json[] => {
    if (part.type !== 'text') return [mediaOf(part, names)];
    return isBlank(part.text) ? [] : [{ text: part.text }];
  });
  if (content.length === 0) content.push({ text: NO_OUTPUT });
  const told = block.isError ? 'The tool failed' : 'Result of the tool';
  if (!toolBlocks) return [{ text: `[${told}, call ${block.callId}]` }, ...content];
  // Only these two know `status`.
  const knowsStatus = family.kind === 'claude' || family.kind === 'nova';
  if (block.isError && !knowsStatus) content.unshift({ text: `${told}:` });
  const toolUseId = bedrockToolId(block.callId, target.dialect);
  return [{ toolResult: { toolUseId, content, ...(block.isError && knowsStatus && { status: 'error' }) } }];
}

const callAsText = ({ id, name, arguments: json }: ToolCallBlock): string =>
  `[Called the tool ${name}, call ${id}, with ${isBlank(json) ? '{}' : json}]`;

/**
 * On the wire redacted content is a blob, base64 of the maker's own opaque text. Bytes that are no text stay in
 * base64 behind a prefix, which no such text begins with.
 */
const BINARY = 'base64:';

export function redactedFromBytes(base64: string): string {
  const raw = Buffer.from(base64, 'base64');
  const text = raw.toString('utf8');
  return Buffer.from(text).equals(raw) ? text : `${BINARY}${base64}`;
}

const redactedToBytes = (data: string): string =>
  data.startsWith(BINARY) ? data.slice(BINARY.length) : Buffer.from(data).toString('base64');

/** Names of documents: letters, digits, single spaces, hyphens, parentheses and brackets; each name once in a request. */
class DocumentNames {
  readonly #taken = new Set<string>();

  next(name = ''): string {
    const plain = name
      .replace(/\.[a-z0-9]{1,5}$/i, '')
      .replace(/[^a-zA-Z0-9()[\] -]+/g, ' ')
      .replace(/ +/g, ' ')
      .trim()
      .slice(0, 180)
      .trim();
    const base = plain === '' ? 'document' : plain;
    let unique = base;
    for (let n = 2; this.#taken.has(unique); n++) unique = `${base} (${n})`;
    this.#taken.add(unique);
    return unique;
  }
}
