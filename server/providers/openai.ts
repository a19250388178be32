/** OpenAI: chat, and its own Responses for clients that speak them. */
import { isOpenAiReasoning, type ProviderKind } from './kind.ts';

export const openai: ProviderKind = {
  name: 'openai',
  keys: ['OPENAI_API_KEY'],
  baseUrl: 'https://api.openai.com/v1',
  // Only Responses carry a thinking model's reasoning from turn to turn, which a client of another protocol may bring.
  protocols: (model) => (isOpenAiReasoning(model) ? ['responses', 'chat'] : ['chat', 'responses']),
  dialect: (model) => ({
    maker: 'openai',
    outputLimit: 'max_completion_tokens',
    systemRole: isOpenAiReasoning(model) ? 'developer' : 'system',
    logprobs: !isOpenAiReasoning(model),
  }),
};
