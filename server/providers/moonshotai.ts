/** Moonshot (Kimi): wants its earlier reasoning back. */
import type { ProviderKind } from './kind.ts';

export const moonshotai: ProviderKind = {
  name: 'moonshotai',
  keys: ['MOONSHOT_API_KEY', 'MOONSHOTAI_API_KEY'],
  baseUrl: 'https://api.moonshot.ai/v1',
  dialect: { reasoningStyle: 'thinking', returnsReasoning: true },
};
