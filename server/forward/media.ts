/**
 * Pictures and files of a request that lie somewhere else, for protocols that want their bytes: fetched through the
 * egress guard where that is allowed, and otherwise left for the protocol to refuse.
 */
import type { Block, Conversation, Source, Turn } from '../protocols/conversation.ts';
import { type ProtocolName, Untranslatable } from '../protocols/index.ts';

export interface Media {
  /** Through the egress guard. @throws `EGRESS_REFUSED`, `EGRESS_FAILED` */
  fetch(url: string): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }>;
  /** False where nothing may be fetched at all. */
  readonly allowed: boolean;
  /** Several parties call with one provider key: what that key can read is not for each of them. */
  readonly shared: boolean;
}

/** Protocols that take bytes only. */
const WANTS_BYTES: ReadonlySet<ProtocolName> = new Set(['gemini', 'converse']);

/** Most that one request may have fetched. */
const MOST = 20;

/** The same conversation where there is nothing to fetch. @throws Untranslatable for what another party may hold */
export async function withMedia(
  conversation: Conversation,
  protocol: ProtocolName,
  media: Media,
): Promise<Conversation> {
  if (!WANTS_BYTES.has(protocol)) return conversation;
  const urls = new Set<string>();
  for (const source of sourcesOf(conversation)) if (source.kind === 'url') urls.add(source.url);
  for (const url of urls)
    if (media.shared && isHeld(url)) throw new Untranslatable('messages', `${shown(url)} may be another’s`);
  const wanted = [...urls].filter((url) => /^https?:/i.test(url) && !isHeld(url));
  if (!media.allowed || wanted.length === 0) return conversation;
  if (wanted.length > MOST) throw new Untranslatable('messages', `more than ${MOST} files to fetch; send their bytes`);
  const fetched = new Map<string, Source>();
  for (const url of wanted) {
    const { bytes, mediaType } = await media.fetch(url);
    fetched.set(url, { kind: 'base64', mediaType, data: Buffer.from(bytes).toString('base64') });
  }
  return { ...conversation, turns: conversation.turns.map((turn) => withSources(turn, fetched)) };
}

function* sourcesOf({ turns }: Conversation): Generator<Source> {
  for (const { blocks } of turns) {
    for (const block of blocks) {
      if (block.type === 'image' || block.type === 'file') yield block.source;
      else if (block.type === 'tool_result') {
        for (const inner of block.content) if (inner.type !== 'text') yield inner.source;
      }
    }
  }
}

function withSources({ role, blocks }: Turn, fetched: ReadonlyMap<string, Source>): Turn {
  const replaced = <T extends Block>(block: T): T => {
    if (block.type !== 'image' && block.type !== 'file') return block;
    const { source } = block;
    const bytes = source.kind === 'url' ? fetched.get(source.url) : undefined;
    return bytes === undefined ? block : { ...block, source: bytes };
  };
  return {
    role,
    blocks: blocks.map((block) =>
      block.type === 'tool_result' ? { ...block, content: block.content.map(replaced) } : replaced(block),
    ),
  };
}

/** Read with the provider's own credential: Google's buckets and uploaded files. */
const isHeld = (url: string): boolean =>
  /^gs:/i.test(url) || /^https:\/\/generativelanguage\.googleapis\.com\//i.test(url);

const shown = (url: string): string => (url.length <= 80 ? url : `${url.slice(0, 80)}…`);
