/** Options of access: who is asked for a key, and how people sign in; part of `config/schema.ts`. */
import { z } from 'zod';
import { HttpUrl } from '../../config/values.ts';

export const AUTH_MODES = ['auto', 'required', 'none'] as const;

export const AuthMode = z
  .enum(AUTH_MODES)
  .default('auto')
  .describe(
    'Whether callers need a key. auto: as soon as there is any, and always beyond this machine; required: from the first start, with a first admin key; none: never, on this machine only.',
  );

const Role = z.enum(['admin', 'manager', 'member', 'read-only']).describe('What they may do.');

export const OidcConfig = z.strictObject({
  issuer: HttpUrl.optional().describe(
    'The identity provider, e.g. https://login.example.com. Its host needs no entry in egress.allow.',
  ),
  clientId: z.string().min(1).optional().describe('The client that it knows this gateway by.'),
  clientSecretEnv: z
    .string()
    .min(1)
    .default('POINTSMAN_OIDC_SECRET')
    .describe('Environment variable that holds the client’s secret.'),
  publicUrl: HttpUrl.optional().describe(
    'Where browsers reach this gateway, for the way back: PUBLIC_URL/auth/callback.',
  ),
  scopes: z
    .array(z.string().min(1))
    .default(['openid', 'profile', 'email'])
    .describe('What is asked of the identity provider.'),
  groupsClaim: z.string().min(1).default('groups').describe('Claim that lists a person’s groups.'),
  groups: z
    .record(
      z.string().min(1),
      z.strictObject({ role: Role, team: z.string().min(1).optional().describe('Default: all teams.') }),
    )
    .default({})
    .describe('What the members of a group may do. A person of none of them may not come in.'),
  sessionHours: z.number().positive().max(720).default(12).describe('Hours after which people sign in again.'),
});
export type OidcConfig = z.infer<typeof OidcConfig>;
