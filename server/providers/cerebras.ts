/** Cerebras. */
import type { ProviderKind } from './kind.ts';

export const cerebras: ProviderKind = {
  name: 'cerebras',
  keys: ['CEREBRAS_API_KEY'],
  baseUrl: 'https://api.cerebras.ai/v1',
};
