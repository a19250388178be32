/**
 * Letters of other scripts that look like Latin ones, as those: `pаssword` with a Cyrillic а is read as people read it. The
 * text keeps its length, so that what is found in it is found at the same place.
 *
 * @see Unicode Technical Standard 39, "Unicode Security Mechanisms", section 4; of its table these are the ones that are
 *      taken for letters and digits of ASCII, with some that are in use for that and are not in it (Cyrillic к, т, в, н)
 */

/** Pairs of letters: the one that is written, and the one that it looks like. */
const PAIRS: readonly (readonly [written: string, latin: string])[] = [
  // Cyrillic.
  ['АВСЕНІЈКМОРЅТУХԌԚԜѴҮ', 'ABCEHIJKMOPSTYXGQWVY'],
  ['авсегһіјкмнопрѕтухԁԛԝѵүьӏ', 'abcerhijkmhonpstyxdqwvybl'],
  // Greek.
  ['ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹ', 'ABEZHIKMNOPTYXC'],
  ['αγεηικνορστυχωϲϳ', 'ayenikvopotuxwcj'],
  // Armenian.
  ['ՕՍՏԼ', 'OUSL'],
  ['օոսհցզյ', 'onuhgqj'],
  // Cherokee.
  [
    '\u13aa\u13f4\u13df\u13a0\u13ac\u13c0\u13bb\u13ab\u13e6\u13de\u13b7\u13e2\u13a1\u13da\u13a2\u13d9\u13b3\u13d4\u13bd\u13c3',
    'ABCDEGHJKLMPRSTVWWYZ',
  ],
  // Latin letters of phonetic scripts.
  ['ɑɡɪɴʀʏʙɢʜʟᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜰꜱ', 'aginrybghlacdejkmoptuvwzfs'],
];

const LATIN = new Map(
  PAIRS.flatMap(([written, latin]) => [...written].map((letter, i): [string, string] => [letter, latin[i]!])),
);

const LETTERS = [...LATIN.keys()].join('');
const ONE = new RegExp(`[${LETTERS}]`);
const EACH = new RegExp(ONE, 'g');

/** Some letter of it looks like a Latin one. */
export const hasLookAlikes = (text: string): boolean => ONE.test(text);

/** Each such letter as the one that it looks like. */
export const lettersAsLatin = (text: string): string => text.replace(EACH, (letter) => LATIN.get(letter)!);

/** Scripts that leave no space between words: one of Latin letters is whole beside them. */
const UNSPACED =
  '[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}]';
export const OF_UNSPACED = new RegExp(UNSPACED, 'u');

/** With what is written over its letters, and what is not seen of it. */
const LETTERS_OF_WORD = `(?:(?!${UNSPACED})[\\p{L}\\p{M}\\p{N}_\\p{Default_Ignorable_Code_Point}])+`;
const WORD = new RegExp(LETTERS_OF_WORD, 'gu');
const ENDS_IN_WORD = new RegExp(`${LETTERS_OF_WORD}$`, 'u');
const OF_LATIN = /\p{Script=Latin}/u;
/** Some letters are not seen either: the fillers of Hangul. */
const OF_OTHERS = /(?![\p{Script=Latin}\p{Default_Ignorable_Code_Point}])\p{L}/u;
/** Styled letters, which are of no script, may be Latin ones; these are none. */
const SURELY_OF_OTHERS = /(?![\p{Script=Latin}\p{Script=Common}\p{Default_Ignorable_Code_Point}])\p{L}/u;

/**
 * Words that are written with Latin letters and look-alikes of them, and nothing else, with Latin letters alone. A word that
 * is all of another script stays: `сор` is Russian, whatever it looks like.
 */
export const wordsAsLatin = (text: string): string => (ONE.test(text) ? text.replace(WORD, wordAsLatin) : text);

function wordAsLatin(word: string): string {
  if (!OF_LATIN.test(word) || !ONE.test(word)) return word;
  const latin = lettersAsLatin(word);
  return SURELY_OF_OTHERS.test(latin) || OF_OTHERS.test(latin.normalize('NFKC')) ? word : latin;
}

/** Where, at the end of a text, a word begins that may yet be read as Latin, or not; the text's end where none does. */
export function openWord(text: string): number {
  const open = ENDS_IN_WORD.exec(text.slice(-MOST_OPEN));
  return open !== null && ONE.test(open[0]) ? text.length - open[0].length : text.length;
}

const MOST_OPEN = 100;
