/** MiniMax: Anthropic's Messages, and the chat protocol under another address. */
import { bearer } from './auth/index.ts';
import type { ProviderKind } from './kind.ts';

export const minimax: ProviderKind = {
  name: 'minimax',
  keys: ['MINIMAX_API_KEY'],
  baseUrl: 'https://api.minimax.io',
  protocols: ['messages', 'chat'],
  path: ({ protocol }) => (protocol === 'messages' ? '/anthropic/v1/messages' : '/v1/chat/completions'),
  // Its signatures are not Anthropic's.
  dialect: { maker: 'minimax' },
  // Both ways of sending the key, since its two addresses read different ones.
  authorize: (key) => async (request) => ({ ...(await bearer(key ?? '')(request)), 'x-api-key': key ?? '' }),
  headers: ({ protocol }): Record<string, string> =>
    protocol === 'messages' ? { 'anthropic-version': '2023-06-01' } : {},
  raw: false,
};
