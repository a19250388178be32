/** OpenRouter: many makers' models in the chat protocol, with reasoning details and cache marks carried through. */
import type { ProviderKind } from './kind.ts';

export const openrouter: ProviderKind = {
  name: 'openrouter',
  keys: ['OPENROUTER_API_KEY'],
  baseUrl: 'https://openrouter.ai/api/v1',
  dialect: { reasoningStyle: 'openrouter', cacheMarks: true, reasoningDetails: true },
};
