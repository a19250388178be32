/** Together AI. */
import type { ProviderKind } from './kind.ts';

export const together: ProviderKind = {
  name: 'together',
  keys: ['TOGETHER_API_KEY'],
  baseUrl: 'https://api.together.xyz/v1',
};
