/** LM Studio on this machine or another of yours. */
import type { ProviderKind } from './kind.ts';

export const lmstudio: ProviderKind = {
  name: 'lmstudio',
  keys: ['LMSTUDIO_API_KEY'],
  baseUrl: 'http://127.0.0.1:1234/v1',
  protocols: ['chat', 'responses'],
  dialect: { maker: 'other' },
  local: true,
};
