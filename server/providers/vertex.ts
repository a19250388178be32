/** Google Cloud's Vertex AI: Gemini in Google's protocol, Claude in Anthropic's. Needs a project and a region. */
import { editMembers, withoutMember } from '../forward/edit-json.ts';
import { apiKeyHeader, googleOAuth } from './auth/index.ts';
import type { ProviderKind } from './kind.ts';

const isClaude = (model: string): boolean => /^(anthropic\/)?claude/.test(model);

/** `global` has no region in its host, `us` and `eu` one of their own. */
function hostOf(region: string): string {
  if (region === 'global') return 'aiplatform.googleapis.com';
  return region === 'us' || region === 'eu'
    ? `aiplatform.${region}.rep.googleapis.com`
    : `${region}-aiplatform.googleapis.com`;
}

export const vertex: ProviderKind = {
  name: 'google-vertex',
  keys: ['GOOGLE_VERTEX_API_KEY'],
  baseUrl: (settings, env) => {
    const project = settings.project ?? env.GOOGLE_VERTEX_PROJECT;
    const region = settings.region ?? env.GOOGLE_VERTEX_LOCATION ?? 'global';
    if (project === undefined) return undefined;
    return `https://${hostOf(region)}/v1beta1/projects/${project}/locations/${region}/publishers`;
  },
  needs: 'project (GOOGLE_VERTEX_PROJECT) and region (GOOGLE_VERTEX_LOCATION)',
  keyless: (settings, env) => (settings.project ?? env.GOOGLE_VERTEX_PROJECT) !== undefined,
  regionOf: (_, settings, env) =>
    settings.baseUrl === undefined ? (settings.region ?? env.GOOGLE_VERTEX_LOCATION ?? 'global') : settings.region,
  protocols: (model) => (isClaude(model) ? ['messages'] : ['gemini']),
  dialect: (model) => ({ maker: isClaude(model) ? 'anthropic' : 'google' }),
  path: ({ model, stream }) => {
    const name = model.replace(/^(anthropic|google)\//, '');
    return isClaude(model)
      ? `/anthropic/models/${name}:${stream ? 'streamRawPredict' : 'rawPredict'}`
      : `/google/models/${name}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`;
  },
  authorize: (key, settings, env) =>
    key === undefined
      ? googleOAuth({ project: settings.project ?? env.GOOGLE_VERTEX_PROJECT })
      : apiKeyHeader('x-goog-api-key', key),
  body: (text, { protocol }) =>
    protocol === 'messages'
      ? editMembers(withoutMember(text, 'model'), { anthropic_version: '"vertex-2023-10-16"' })
      : text,
  raw: false,
};
