/** Masks long texts in steps, so that others have their turn in between; says where a text that is still coming may be cut. */
import { Breath, IN_ONE_GO } from '../governance/guards/breath.ts';
import { foldedForPlaces } from './folded-text.ts';
import { type Redacted, redact, redacting } from './redact.ts';
import { type Kind, LONGEST_BUT_KEYS, LONGEST_KEY } from './redact-rules.ts';

export { LONGEST_KEY };

/**
 * As `redact` does, with the same result, for texts of any length.
 *
 * @param size characters that one rule looks at without a break
 */
export async function redactInPieces(
  text: string,
  kinds?: ReadonlySet<Kind>,
  size = IN_ONE_GO,
  breath = new Breath(),
): Promise<Redacted> {
  const steps = redacting(text, kinds, size);
  let step = steps.next();
  for (; !step.done; step = steps.next()) if (breath.isDue) await breath.take();
  return step.value;
}

/** What may stand between a word that announces a secret, or no address, and what it announces. */
const ANNOUNCED =
  /(?:bearer|basic|authorization|password|passwd|pwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token|version|\bv)["']?[ \t]*[:=]?[ \t]*["']?$/i;
/** Digits and capitals in groups, as in numbers of cards, accounts, phones and people. */
const GROUPS = /[A-Z0-9 ()./+-]+$/;
/** The beginning of a key whose end is lines away. */
const KEY_BEGINS = /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----/g;
const KEY_ENDS = /-----END [A-Z ]{0,30}PRIVATE KEY-----/y;
/** Of its last line, what has come. */
const KEY_MAY_END = /^--(?:-{0,3}$|---E?N?D?(?: [A-Z ]{0,42}-{0,4})?$)/;
/** Places that are looked at closely in one call: some milliseconds. Beyond that only lines' ends are gaps. */
const MOST_TRIES = 300;

/**
 * The last gap between words where nothing that is looked for can go on: what is found has no gaps but in groups of
 * digits and capitals, after a word that announces a secret, and in a private key.
 *
 * @param from  where the text begins; what stands before is known
 * @param tried no gap is looked for up to this place
 * @returns `from` where there is none
 */
export function settled(text: string, from: number, tried: number): number {
  const keys = keysIn(text, from);
  let tries = 0;
  for (let i = text.length; i > Math.max(from, tried); i--) {
    while (keys.length > 0 && keys.at(-1)!.start >= i) keys.pop();
    const key = keys.at(-1);
    if (key !== undefined && i < key.end) {
      i = key.start + 1;
      continue;
    }
    const before = text[i - 1]!;
    if (isLineEnd(before)) return i;
    if (tries < MOST_TRIES && (isSpace(before) || isMark(before))) {
      tries++;
      if (isGap(text, i, from)) return i;
    }
  }
  return from;
}

/**
 * Where to cut a text that goes on without any sure gap: what is found in it is found in its two parts, as far as it is known,
 * and all of what may yet begin before that place is there, but for a private key, which is not parted.
 *
 * @param from the text is more than the longest key from there on
 */
export function forcedCut(text: string, from: number, kinds?: ReadonlySet<Kind>): number {
  const waiting = text.slice(from);
  const whole = redact(waiting, kinds).text;
  const open = keysIn(waiting, 0).find(({ end }) => end > waiting.length)?.start ?? waiting.length;
  const last = Math.min(waiting.length - LONGEST_BUT_KEYS, open);
  for (let tries = 0; tries < MOST_CUTS; tries++) {
    const place = beforePair(waiting, last - tries * FURTHER);
    if (place <= 0) break;
    if (redact(waiting.slice(0, place), kinds).text + redact(waiting.slice(place), kinds).text === whole) {
      return from + place;
    }
  }
  return from + Math.max(1, beforePair(waiting, last));
}

/** So many places, so far apart, that no word that is said over and over has its middle at each. */
const MOST_CUTS = 12;
const FURTHER = 37;

/** Not between the two halves of a character. */
const beforePair = (text: string, at: number): number => (/[\udc00-\udfff]/.test(text[at] ?? '') ? at - 1 : at);

/** Private keys from their first line on, whole, or such as may become whole. */
function keysIn(text: string, from: number): { start: number; end: number }[] {
  const keys: { start: number; end: number }[] = [];
  KEY_BEGINS.lastIndex = from;
  for (let begun = KEY_BEGINS.exec(text); begun !== null; begun = KEY_BEGINS.exec(text)) {
    const start = begun.index;
    // There are no two hyphens in it but those of its last line.
    const hyphens = text.indexOf('--', KEY_BEGINS.lastIndex);
    KEY_ENDS.lastIndex = Math.max(hyphens, 0);
    if (hyphens >= 0 && KEY_ENDS.test(text)) keys.push({ start, end: KEY_ENDS.lastIndex });
    else if (text.length - start <= LONGEST_KEY && (hyphens < 0 || KEY_MAY_END.test(text.slice(hyphens)))) {
      keys.push({ start, end: Number.POSITIVE_INFINITY });
    }
  }
  return keys;
}

const isSpace = (character: string): boolean => character === ' ' || character === '\t';
const isLineEnd = (character: string): boolean => character === '\n' || character === '\r';
/** Full stops, commas and the like of scripts that leave no space after them. */
const isMark = (character: string): boolean => '、。，！？；：」』）】'.includes(character);

const LOOKED_BACK = 80;
/** Longer than a value that takes marks for its own, with the sign that such values have before them. */
const VALUE_LOOKED_BACK = 220;

function isGap(text: string, i: number, from: number): boolean {
  const before = text[i - 1]!;
  const back = isSpace(before) ? LOOKED_BACK : VALUE_LOOKED_BACK;
  const tail = foldedForPlaces(text.slice(Math.max(from, i - back), i));
  if (ANNOUNCED.test(tail.slice(-LOOKED_BACK))) return false;
  if (isSpace(before)) return !mayBeGroup(GROUPS.exec(tail)?.[0] ?? '', tail) && !isHeadOfKey(text, i, from);
  // Between characters of a script without spaces: not in an address or a value, which take such marks for their own,
  // nor after a key, which may be a value's beginning.
  const word = tail.slice(Math.max(tail.lastIndexOf(' '), tail.lastIndexOf('\n'), tail.lastIndexOf('\t')) + 1);
  return !/[:=@]|-----/.test(word) && !ANNOUNCED.test(tail.slice(0, -word.length).slice(-LOOKED_BACK));
}

/** A number may have begun in these groups, or with the two capitals before a gap. */
const mayBeGroup = (groups: string, tail: string): boolean => /\d/.test(groups) || /(?:^|\W)[A-Z]{2} $/.test(tail);

/** `-----BEGIN RSA PRIVATE KEY-----`, of which not all has come. */
function isHeadOfKey(text: string, i: number, from: number): boolean {
  const head = text.slice(Math.max(from, i - LOOKED_BACK), i);
  const begun = head.lastIndexOf('-----');
  return begun >= 0 && /^-----B?E?G?I?N?[A-Z ]*-{0,4}$/.test(head.slice(begun));
}
