/** Bytes of a file as text, and back: every byte has a character, so that what is not changed comes out as it was. */

/** Bytes by which a file is known to be no text; enough for the heads of all common kinds. */
export const SNIFFED = 8192;

/** Control characters that texts do not hold; an escape is in what terminals print. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\0-\x08\x0e-\x1a\x1c-\x1f]/;
/** PDF, PostScript, RTF: may be all ASCII, and yet say more than their letters do. */
const FORMATS = /^(?:\xef\xbb\xbf)?\s*(?:%!PS|\{\\rtf)/;
/** Readers find it among the first so many bytes, whatever stands before it. @see ISO 32000-1, annex H, note 13 */
const PDF = '%PDF';
const PDF_WITHIN = 1024 + PDF.length;

/** `wrapped`: a text, but what it says is not all there as letters. */
export type ByteKind = 'text' | 'wrapped' | 'binary';

/** @param head the first {@link SNIFFED} bytes, or all */
export function kindOfBytes(head: Buffer): ByteKind {
  const start = head.toString('latin1', 0, SNIFFED);
  if (CONTROLS.test(start)) return 'binary';
  return FORMATS.test(start) || start.slice(0, PDF_WITHIN).includes(PDF) ? 'wrapped' : 'text';
}

/** Others may read something else in it than letters. */
export const hasControls = (text: string): boolean => CONTROLS.test(text);

/** It came from bytes that are no UTF-8. */
export const hasStrays = (text: string): boolean => text.search(STRAY) >= 0;

/** More stray bytes than a text of another encoding has. */
export const isNoise = (text: string): boolean => (text.match(STRAY)?.length ?? 0) > text.length / 2;

/** By code points: not the second halves of pairs. */
const STRAY = /[\udc80-\udcff]/gu;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * UTF-8; a byte that is none, such as those of Latin-1, becomes U+DC00 plus the byte, which no UTF-8 holds.
 *
 * @see PEP 383, "Non-decodable Bytes in System Character Interfaces"
 */
export function decoded(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    let text = '';
    let from = 0;
    for (let i = 0; i < bytes.length; ) {
      const length = sequenceAt(bytes, i);
      if (length === 0) {
        text += bytes.toString('utf8', from, i) + String.fromCharCode(0xdc00 + bytes[i]!);
        from = i + 1;
      }
      i += Math.max(length, 1);
    }
    return text + bytes.toString('utf8', from);
  }
}

export function encoded(text: string): Buffer {
  const pieces: Buffer[] = [];
  let from = 0;
  for (const { index } of text.matchAll(STRAY)) {
    pieces.push(Buffer.from(text.slice(from, index)), Buffer.of(text.charCodeAt(index) - 0xdc00));
    from = index + 1;
  }
  const rest = Buffer.from(text.slice(from));
  return pieces.length === 0 ? rest : Buffer.concat([...pieces, rest]);
}

/** Bytes at the end that may be the beginning of a character whose rest is still to come: 0 to 3. */
export function unfinished(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) > back ? back : 0;
  }
  return 0;
}

/** Bytes of the character that begins here; 0: none does. @see The Unicode Standard, table 3-7 */
function sequenceAt(bytes: Buffer, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const second = bytes[at + 1]!;
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let i = 2; i < length; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return 0;
  return length;
}
