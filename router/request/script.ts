/** The script that a text is mostly written in: what is known of its language without guessing. */

const SCRIPTS = {
  arabic: /\p{Script=Arabic}/u,
  bengali: /\p{Script=Bengali}/u,
  cyrillic: /\p{Script=Cyrillic}/u,
  devanagari: /\p{Script=Devanagari}/u,
  greek: /\p{Script=Greek}/u,
  hangul: /\p{Script=Hangul}/u,
  han: /\p{Script=Han}/u,
  hebrew: /\p{Script=Hebrew}/u,
  kana: /[\p{Script=Hiragana}\p{Script=Katakana}]/u,
  tamil: /\p{Script=Tamil}/u,
  thai: /\p{Script=Thai}/u,
} as const;
export type Script = keyof typeof SCRIPTS | 'other';

/** Enough to tell by. */
const LOOKED_AT = 400;

/**
 * @returns undefined for a text in Latin letters, or without letters: what most are. Japanese counts as `kana` though most of
 *          its letters may be Han
 */
export function scriptOf(text: string): Script | undefined {
  const head = text.slice(0, LOOKED_AT);
  // Nothing beyond Latin: one pass that stops at the first letter of another script.
  if (!/[\u0370-\u1dff\u2c00-\ud7ff\uf900-\ufdff\ufe70-\uffff]/.test(head)) return undefined;
  const counts = new Map<Script | 'latin', number>();
  for (const letter of head.match(/\p{L}/gu) ?? []) {
    const script = /\p{Script=Latin}/u.test(letter)
      ? 'latin'
      : ((Object.keys(SCRIPTS) as (keyof typeof SCRIPTS)[]).find((name) => SCRIPTS[name].test(letter)) ?? 'other');
    counts.set(script, (counts.get(script) ?? 0) + 1);
  }
  // A fifth of a Japanese text is enough to tell it from Chinese.
  const han = counts.get('han') ?? 0;
  const kana = counts.get('kana') ?? 0;
  if (kana * 5 >= han && kana > 0) {
    counts.set('kana', han + kana);
    counts.delete('han');
  }
  let most: Script | 'latin' = 'latin';
  for (const [script, count] of counts) if (count > (counts.get(most) ?? 0)) most = script;
  return most === 'latin' ? undefined : most;
}
