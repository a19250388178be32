/** Azure OpenAI: OpenAI's protocols; the model's name is that of the deployment. Needs a resource. */
import type { Environment } from '../config/index.ts';
import { apiKeyHeader, azureEntra } from './auth/index.ts';
import { isOpenAiReasoning, PATHS, type ProviderKind } from './kind.ts';
import { Transport } from './transport.ts';

/** An application's sign-in to Entra, by the variables that Azure's own libraries read. */
function entraOf(env: Environment): { tenantId: string; clientId: string; clientSecret: string } | undefined {
  const { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: clientId, AZURE_CLIENT_SECRET: clientSecret } = env;
  return tenantId && clientId && clientSecret ? { tenantId, clientId, clientSecret } : undefined;
}

export const azure: ProviderKind = {
  name: 'azure',
  keys: ['AZURE_OPENAI_API_KEY', 'AZURE_API_KEY'],
  baseUrl: (settings, env) => {
    const resource = settings.resource ?? env.AZURE_RESOURCE_NAME;
    return resource === undefined ? undefined : `https://${resource}.openai.azure.com/openai`;
  },
  needs: 'resource (AZURE_RESOURCE_NAME), or baseUrl (AZURE_BASE_URL)',
  protocols: ['chat', 'responses'],
  dialect: (model) => ({
    maker: 'openai',
    outputLimit: 'max_completion_tokens',
    systemRole: isOpenAiReasoning(model) ? 'developer' : 'system',
    logprobs: !isOpenAiReasoning(model),
  }),
  path: ({ protocol, model }, { apiVersion }) => {
    const path = PATHS[protocol]({ protocol, model, stream: false });
    // Without a dated version the v1 API, where the deployment stands in the body.
    if (apiVersion === undefined) return `/v1${path}`;
    return protocol === 'responses'
      ? `${path}?api-version=${apiVersion}`
      : `/deployments/${encodeURIComponent(model)}${path}?api-version=${apiVersion}`;
  },
  rawPath: (path, { apiVersion }) =>
    apiVersion === undefined ? `/v1${path}` : `${path}${path.includes('?') ? '&' : '?'}api-version=${apiVersion}`,
  keyless: (_, env) => entraOf(env) !== undefined,
  authorize: (key, _, env) => {
    if (key !== undefined) return apiKeyHeader('api-key', key);
    const entra = entraOf(env);
    return entra === undefined ? () => ({}) : azureEntra({ ...entra, transport: new Transport({ env }) });
  },
};
