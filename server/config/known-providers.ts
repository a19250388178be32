/** Names that mean a provider without an entry in `pointsman.yaml`; any other name needs one. */

/** Hosts that only need a key or an address. `test/server/config/` holds it against `providers/`. */
export const KNOWN_PROVIDERS: ReadonlySet<string> = new Set([
  'openai',
  'anthropic',
  'google',
  'amazon-bedrock',
  'azure',
  'google-vertex',
  'openrouter',
  'mistral',
  'deepseek',
  'xai',
  'moonshotai',
  'minimax',
  'zai',
  'alibaba',
  'groq',
  'together',
  'fireworks',
  'cerebras',
  'cohere',
  'ollama',
  'lmstudio',
]);

/** What `providers.NAME.type` may be, for a provider by another name. */
export const PROVIDER_TYPES: ReadonlySet<string> = new Set([
  'openai-compatible',
  ...KNOWN_PROVIDERS,
  'bedrock',
  'vertex',
]);
