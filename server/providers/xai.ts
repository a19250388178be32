/** xAI: counts reasoning beside the completion. */
import type { ProviderKind } from './kind.ts';

export const xai: ProviderKind = {
  name: 'xai',
  keys: ['XAI_API_KEY'],
  baseUrl: 'https://api.x.ai/v1',
  protocols: ['chat', 'responses'],
  dialect: { maker: 'xai', outputLimit: 'max_completion_tokens', reasoningOutside: true },
};
