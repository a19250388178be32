/** Ollama on this machine or another of yours. */
import type { ProviderKind } from './kind.ts';

export const ollama: ProviderKind = {
  name: 'ollama',
  keys: ['OLLAMA_API_KEY'],
  baseUrl: 'http://127.0.0.1:11434/v1',
  local: true,
};
