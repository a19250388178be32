/** Google's OAuth for Vertex: application default credentials, by Google's own library. */
import type { AuthClient } from 'google-auth-library';
import { RoutingError } from '../../../datasets/index.ts';
import type { Authorizer } from './authorizer.ts';

export interface GoogleOAuthOptions {
  /** Of a service account, a user or an external account. Default: GOOGLE_APPLICATION_CREDENTIALS, gcloud's, the machine's own. */
  readonly keyFile?: string | undefined;
  readonly scopes?: readonly string[] | undefined;
  /** Where it is known, the library need not ask Google for it. */
  readonly project?: string | undefined;
}

const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';

/** Tokens are kept by the library, and renewed before they expire. Loaded at the first request. */
export function googleOAuth({ keyFile, scopes = [CLOUD_PLATFORM], project }: GoogleOAuthOptions = {}): Authorizer {
  let client: Promise<AuthClient> | undefined;
  const found = async (): Promise<AuthClient> => {
    const { GoogleAuth } = await import('google-auth-library');
    return await new GoogleAuth({
      scopes: [...scopes],
      ...(keyFile !== undefined && { keyFilename: keyFile }),
      ...(project !== undefined && { projectId: project }),
    }).getClient();
  };
  return async ({ url }) => {
    client ??= found();
    const ready = await client.catch((error) => {
      // It may be there the next time.
      client = undefined;
      throw refused('no Google credentials', error);
    });
    const headers = await ready.getRequestHeaders(url.href).catch((error) => {
      throw refused('Google gave no access token', error);
    });
    return Object.fromEntries(headers);
  };
}

/** Without the cause: it holds the request for the token, and that the secret. */
function refused(what: string, error: unknown): RoutingError {
  const { message = '', status, code } = error as { message?: string; status?: number; code?: string | number };
  const away =
    status === undefined ? typeof code === 'string' && /^E[A-Z]+$/.test(code) && code !== 'ENOENT' : status >= 500;
  return new RoutingError(
    away ? 'UPSTREAM_ERROR' : 'PROVIDER_NOT_CONFIGURED',
    `${what}: ${message.split('\n')[0]?.slice(0, 300)}`,
  );
}
