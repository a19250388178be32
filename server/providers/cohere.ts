/** Cohere: its own chat protocol, version 2. */
import type { ProviderKind } from './kind.ts';

export const cohere: ProviderKind = {
  name: 'cohere',
  keys: ['COHERE_API_KEY', 'CO_API_KEY'],
  baseUrl: 'https://api.cohere.com/v2',
  protocols: ['cohere'],
  raw: false,
};
