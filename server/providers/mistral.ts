/** Mistral: a stream's usage comes unasked, unknown fields are refused, and tool-call ids are nine letters. */
import type { ProviderKind } from './kind.ts';

export const mistral: ProviderKind = {
  name: 'mistral',
  keys: ['MISTRAL_API_KEY'],
  baseUrl: 'https://api.mistral.ai/v1',
  dialect: { asksForStreamUsage: false, seedField: 'random_seed', toolIdPattern: 'mistral' },
};
