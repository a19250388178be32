/** Amazon Bedrock: the Converse protocol, signed with AWS credentials or sent with a Bedrock API key. */

import type { Environment } from '../config/index.ts';
import { conversePath, makerOnBedrock } from '../protocols/converse/index.ts';
import { awsDefaultCredentials, bearer, sigV4 } from './auth/index.ts';
import type { ProviderKind, Settings } from './kind.ts';

const regionOf = (settings: Settings, env: Environment): string | undefined =>
  settings.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION;

export const bedrock: ProviderKind = {
  name: 'amazon-bedrock',
  keys: ['AWS_BEARER_TOKEN_BEDROCK'],
  baseUrl: (settings, env) => {
    const region = regionOf(settings, env);
    return region === undefined ? undefined : `https://bedrock-runtime.${region}.amazonaws.com`;
  },
  needs: 'region (AWS_REGION); or AWS credentials in place of that key',
  keyless: (settings, env) =>
    settings.profile !== undefined ||
    settings.region !== undefined ||
    (env.AWS_ACCESS_KEY_ID !== undefined && regionOf(settings, env) !== undefined),
  protocols: ['converse'],
  dialect: (model) => ({ maker: makerOnBedrock(model) }),
  path: ({ model, stream }) => conversePath(model, stream),
  authorize: (key, settings, env) =>
    key === undefined
      ? sigV4({
          region: regionOf(settings, env) ?? 'us-east-1',
          credentials: awsDefaultCredentials({ profile: settings.profile }),
        })
      : bearer(key),
  raw: false,
};
