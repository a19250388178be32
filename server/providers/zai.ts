/** Z.ai (GLM). */
import type { ProviderKind } from './kind.ts';

export const zai: ProviderKind = {
  name: 'zai',
  keys: ['ZAI_API_KEY', 'ZHIPU_API_KEY'],
  baseUrl: 'https://api.z.ai/api/paas/v4',
  dialect: { reasoningStyle: 'thinking' },
};
