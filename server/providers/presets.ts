/**
 * Hosts that speak the OpenAI chat protocol, one line each. A host is on when its key is in the
 * environment (`<NAME>_API_KEY`) or when `pointsman.yaml` names it; `<NAME>_BASE_URL` moves it.
 */
import { isObject } from '../forward/usage.ts';
import type { OpenAiCompatibleOptions } from './openai-compatible.ts';

export interface Preset extends Partial<Omit<OpenAiCompatibleOptions, 'name' | 'apiKey' | 'keyFrom'>> {
  /** Environment variables that may hold the key, first one wins. */
  readonly keys: readonly string[];
  /** False where `<NAME>_BASE_URL` is in use for another protocol. Default: true. */
  readonly movable?: boolean;
  /** A local server: on when `<NAME>_BASE_URL` is set, without a key. */
  readonly local?: boolean;
}

const KNOWN: Readonly<Record<string, Preset>> = {
  openai: { baseUrl: 'https://api.openai.com/v1', keys: ['OPENAI_API_KEY'], outputLimit: 'max_completion_tokens' },
  // Both offer the OpenAI protocol beside their own, which does more (thinking, prompt caching).
  anthropic: { baseUrl: 'https://api.anthropic.com/v1', keys: ['ANTHROPIC_API_KEY'], movable: false },
  google: {
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai',
    keys: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
  },
  openrouter: { baseUrl: 'https://openrouter.ai/api/v1', keys: ['OPENROUTER_API_KEY'] },
  groq: {
    baseUrl: 'https://api.groq.com/openai/v1',
    keys: ['GROQ_API_KEY'],
    asksForStreamUsage: false,
    usageAt: (chunk) => (isObject(chunk.x_groq) ? chunk.x_groq.usage : undefined),
  },
  together: { baseUrl: 'https://api.together.xyz/v1', keys: ['TOGETHER_API_KEY'] },
  fireworks: { baseUrl: 'https://api.fireworks.ai/inference/v1', keys: ['FIREWORKS_API_KEY'] },
  deepseek: { baseUrl: 'https://api.deepseek.com', keys: ['DEEPSEEK_API_KEY'] },
  // Mistral reports a stream's usage unasked, and refuses fields that it does not know.
  mistral: { baseUrl: 'https://api.mistral.ai/v1', keys: ['MISTRAL_API_KEY'], asksForStreamUsage: false },
  xai: {
    baseUrl: 'https://api.x.ai/v1',
    keys: ['XAI_API_KEY'],
    outputLimit: 'max_completion_tokens',
    reasoningOutside: true,
  },
  moonshotai: { baseUrl: 'https://api.moonshot.ai/v1', keys: ['MOONSHOT_API_KEY', 'MOONSHOTAI_API_KEY'] },
  cerebras: { baseUrl: 'https://api.cerebras.ai/v1', keys: ['CEREBRAS_API_KEY'] },
  zai: { baseUrl: 'https://api.z.ai/api/paas/v4', keys: ['ZAI_API_KEY', 'ZHIPU_API_KEY'] },
  alibaba: {
    baseUrl: 'https://dashscope-intl.aliyuncs.com/compatible-mode/v1',
    keys: ['DASHSCOPE_API_KEY', 'ALIBABA_API_KEY'],
  },
  minimax: { baseUrl: 'https://api.minimax.io/v1', keys: ['MINIMAX_API_KEY'] },
  ollama: { baseUrl: 'http://127.0.0.1:11434/v1', keys: ['OLLAMA_API_KEY'], local: true },
  lmstudio: { baseUrl: 'http://127.0.0.1:1234/v1', keys: ['LMSTUDIO_API_KEY'], local: true },
};

/** A map, since names come from clients: `constructor` is no host. */
export const PRESETS: ReadonlyMap<string, Preset> = new Map(Object.entries(KNOWN));
