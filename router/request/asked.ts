/** A user turn without what its harness put there: what the person asked. */
import {
  AMBIGUOUS_BLOCKS,
  ASKED_BLOCK,
  HARNESS_BLOCKS,
  IDE_CONTEXT,
  INSTRUCTIONS,
  NOTICES,
  TYPED_BLOCK,
} from './harness.ts';

const openingOf = (names: readonly string[]): string => `<(${names.join('|')})(?:\\s[^<>]{0,200})?>`;
const HARNESS = new RegExp(openingOf(HARNESS_BLOCKS), 'g');
const ASKED = new RegExp(openingOf([ASKED_BLOCK]), 'g');
const ANY = new RegExp(openingOf([...HARNESS_BLOCKS, ...AMBIGUOUS_BLOCKS]), 'g');
const TYPED = new RegExp(`</?${TYPED_BLOCK}>`, 'g');

/**
 * @param parts the texts of a turn
 * @returns what a person said, parts that are the harness's left out; a turn without any is returned as it was sent, joined by line ends
 */
export function askedIn(parts: readonly string[]): string {
  if (parts.length === 1) return asked(parts[0]!) ?? '';
  const said: string[] = [];
  for (const part of parts) {
    const text = asked(part);
    if (text !== null) said.push(text);
  }
  return said.join('\n');
}

/** A text without the harness's; null: it was nothing else. A text that is all a person's comes back as it is. */
function asked(whole: string): string | null {
  let text = whole;
  while (text.startsWith(INSTRUCTIONS.start)) {
    const end = text.indexOf(INSTRUCTIONS.end);
    if (end < 0) return null;
    text = text.slice(end + INSTRUCTIONS.end.length).trimStart();
  }
  if (text === '' && whole !== '') return null;
  if (IDE_CONTEXT.starts.some((start) => text.startsWith(start))) {
    const at = text.indexOf(IDE_CONTEXT.request);
    if (at >= 0) return text.slice(at + IDE_CONTEXT.request.length).trim() || null;
  }
  if (NOTICES.has(text)) return null;
  if (!text.includes('<')) return text;
  const queries = blocksIn(text, ASKED);
  if (queries.length > 0) return queries.map(({ from, to }) => text.slice(from, to).trim()).join('\n') || null;
  if (outside(text, blocksIn(text, ANY)).trim() === '') return null;
  const blocks = blocksIn(text, HARNESS);
  if (blocks.length === 0) return text;
  return outside(text, blocks).replace(TYPED, '').trim() || null;
}

/** A block: where it begins and ends, and its content. */
interface Block {
  readonly start: number;
  readonly from: number;
  readonly to: number;
  readonly end: number;
}

/** Closed blocks from left to right, those within another left out. Linear: a name that is once not closed is not looked for again. */
function blocksIn(text: string, opening: RegExp): Block[] {
  const blocks: Block[] = [];
  const open = new Set<string>();
  opening.lastIndex = 0;
  for (let match = opening.exec(text); match !== null; match = opening.exec(text)) {
    const name = match[1]!;
    if (open.has(name)) continue;
    const from = match.index + match[0].length;
    const to = text.indexOf(`</${name}>`, from);
    if (to < 0) {
      open.add(name);
      continue;
    }
    const end = to + name.length + 3;
    blocks.push({ start: match.index, from, to, end });
    opening.lastIndex = end;
  }
  return blocks;
}

function outside(text: string, blocks: readonly Block[]): string {
  let out = '';
  let at = 0;
  for (const { start, end } of blocks) {
    out += text.slice(at, start);
    at = end;
  }
  return out + text.slice(at);
}
