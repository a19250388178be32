/** Fireworks: model ids are paths, `accounts/fireworks/models/…`. */
import type { ProviderKind } from './kind.ts';

export const fireworks: ProviderKind = {
  name: 'fireworks',
  keys: ['FIREWORKS_API_KEY'],
  baseUrl: 'https://api.fireworks.ai/inference/v1',
};
