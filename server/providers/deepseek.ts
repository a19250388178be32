/** DeepSeek: V4 wants its earlier reasoning back; an effort goes beside `thinking`. */
import type { ProviderKind } from './kind.ts';

export const deepseek: ProviderKind = {
  name: 'deepseek',
  keys: ['DEEPSEEK_API_KEY'],
  baseUrl: 'https://api.deepseek.com',
  dialect: (model) => ({
    maker: 'deepseek',
    reasoningStyle: 'thinking',
    // R1 must not get it.
    returnsReasoning: !/r1|reasoner/i.test(model),
  }),
  raw: false,
};
