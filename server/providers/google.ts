/** Google's Gemini API. */
import { apiKeyHeader } from './auth/index.ts';
import type { ProviderKind } from './kind.ts';

export const google: ProviderKind = {
  name: 'google',
  keys: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
  baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
  protocols: ['gemini'],
  dialect: { maker: 'google' },
  authorize: (key) => apiKeyHeader('x-goog-api-key', key ?? ''),
  raw: false,
};
