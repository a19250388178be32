/** Anthropic: its own Messages, which say more than its OpenAI-style endpoint (thinking, prompt caching). */
import { apiKeyHeader } from './auth/index.ts';
import type { ProviderKind } from './kind.ts';

export const anthropic: ProviderKind = {
  name: 'anthropic',
  keys: ['ANTHROPIC_API_KEY'],
  baseUrl: 'https://api.anthropic.com/v1',
  // Its own clients write the address without the version.
  address: (baseUrl) => (/^https?:\/\/[^/]+\/?$/.test(baseUrl) ? `${baseUrl.replace(/\/$/, '')}/v1` : baseUrl),
  // ANTHROPIC_BASE_URL is what Anthropic's own clients read, to find this gateway.
  movable: false,
  protocols: ['messages'],
  dialect: { maker: 'anthropic' },
  authorize: (key) => apiKeyHeader('x-api-key', key ?? ''),
  headers: () => ({ 'anthropic-version': '2023-06-01' }),
};
