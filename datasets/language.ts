/** Which language a prompt is in, for slices of a report. Loads its tables at the first question. */

/** Characters looked at: the start of a prompt tells its language as well as all of it. */
const CHARS = 400;

export type LanguageOf = (text: string) => string;

/**
 * @returns names a text's language by ISO 639-1 code, `und` where it says too little. Short texts and code are
 *          guessed: a slice of a handful of prompts means nothing
 * @see Nito-ELD, an n-gram classifier of 60 languages
 */
export async function languageDetector(): Promise<LanguageOf> {
  const { eld } = await import('eld/medium');
  return (text) => {
    const found = eld.detect(text.slice(0, CHARS)).language;
    return found === '' ? 'und' : found;
  };
}
