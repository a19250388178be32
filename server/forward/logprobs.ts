/** How sure a model was of its words, as OpenAI's chat protocol tells it: asked for, read, and taken out again. */
import { editItems, editMembers, memberText } from './edit-json.ts';
import { isObject } from './usage.ts';

/** A chat request that asks for the probability of each token. @param text a valid JSON object */
export const withLogprobs = (text: string): string => editMembers(text, { logprobs: 'true' });

/**
 * Mean probability of the tokens of the first choice, exp(logprob) averaged, in [0, 1].
 * @param payload a chat completion
 * @returns null where none are told
 */
export function meanTokenProbability(payload: Readonly<Record<string, unknown>>): number | null {
  const { choices } = payload;
  const [choice]: unknown[] = Array.isArray(choices) ? choices : [];
  if (!isObject(choice) || !isObject(choice.logprobs)) return null;
  const { content } = choice.logprobs;
  if (!Array.isArray(content)) return null;
  let sum = 0;
  let tokens = 0;
  for (const token of content) {
    if (!isObject(token) || typeof token.logprob !== 'number' || Number.isNaN(token.logprob)) continue;
    // Rounding upstream may leave a hair above 1.
    sum += Math.min(1, Math.exp(token.logprob));
    tokens++;
  }
  return tokens === 0 ? null : sum / tokens;
}

/** A chat completion as it would have come without them: null in every choice. @param text a valid JSON object */
export function withoutLogprobs(text: string): string {
  const choices = memberText(text, 'choices');
  if (choices === undefined || !choices.startsWith('[')) return text;
  return editMembers(text, {
    choices: editItems(choices, (item) => (item.startsWith('{') ? editMembers(item, { logprobs: 'null' }) : item)),
  });
}
