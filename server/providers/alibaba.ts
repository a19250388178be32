/** Alibaba Model Studio (Qwen and others): reads cache marks, and names thinking in its own way. */
import type { ProviderKind } from './kind.ts';

export const alibaba: ProviderKind = {
  name: 'alibaba',
  keys: ['DASHSCOPE_API_KEY', 'ALIBABA_API_KEY'],
  baseUrl: 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
  dialect: { reasoningStyle: 'enable_thinking', cacheMarks: true },
};
