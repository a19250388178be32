/** Any other host that speaks the OpenAI chat protocol, as `pointsman.yaml` names it. */
import type { ProviderKind } from './kind.ts';

export const openAiCompatibleKind = (name: string): ProviderKind => ({
  name,
  keys: [`${name.toUpperCase().replaceAll('-', '_')}_API_KEY`],
  baseUrl: (settings) => settings.baseUrl,
  needs: 'baseUrl',
  // It may be a gateway to many makers: what came from there goes back.
  dialect: { reasoningDetails: true },
});
