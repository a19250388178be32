/** Groq: a stream's usage comes unasked, and elsewhere. */
import { isObject } from '../forward/usage.ts';
import type { ProviderKind } from './kind.ts';

export const groq: ProviderKind = {
  name: 'groq',
  keys: ['GROQ_API_KEY'],
  baseUrl: 'https://api.groq.com/openai/v1',
  dialect: {
    asksForStreamUsage: false,
    usageAt: (chunk) => (isObject(chunk.x_groq) ? chunk.x_groq.usage : undefined),
  },
};
