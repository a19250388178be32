/** Amazon Bedrock: the Converse protocol, signed with AWS credentials or sent with a Bedrock API key. */

import type { Environment } from '../config/index.ts';
import { conversePath, makerOnBedrock } from '../protocols/converse/index.ts';
import { awsDefaultCredentials, bearer, sigV4 } from './auth/index.ts';
import type { ProviderKind, Settings } from './kind.ts';

const regionOf = (settings: Settings, env: Environment): string | undefined =>
  settings.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION;

/** `eu.anthropic.…`: an inference profile, which computes anywhere in its part of the world; `global.…` anywhere at all. */
const PROFILE = /^(us-gov|us|eu|apac|jp|au|ca|sa|global)\./;
const ARN = /^arn:[a-z-]+:bedrock:([a-z0-9-]+):[^:]*:([a-z-]+)\/(.+)$/;

/** An address that somebody wrote down need not lie where the environment says. */
function computesIn(model: string, settings: Settings, env: Environment): string | undefined {
  const [, inArn, kind, name] = ARN.exec(model) ?? [];
  const profile = PROFILE.exec(name ?? model)?.[1];
  if (profile !== undefined) return profile;
  // What an application's own profile stands for is known to its account alone.
  if (kind !== undefined) return kind.endsWith('inference-profile') ? undefined : inArn;
  return settings.baseUrl === undefined ? regionOf(settings, env) : settings.region;
}

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
  regionOf: computesIn,
  authorize: (key, settings, env) =>
    key === undefined
      ? sigV4({
          region: regionOf(settings, env) ?? 'us-east-1',
          credentials: awsDefaultCredentials({ profile: settings.profile }),
        })
      : bearer(key),
  raw: false,
};
