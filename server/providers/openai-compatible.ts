/** Any other host that speaks the OpenAI chat protocol, as `pointsman.yaml` names it. */
import type { ProviderKind } from './kind.ts';

export const openAiCompatibleKind = (name: string): ProviderKind => ({
  name,
  keys: [`${name.toUpperCase().replaceAll('-', '_')}_API_KEY`],
  baseUrl: (settings) => settings.baseUrl,
  needs: 'baseUrl',
});
