/** A small identity provider on loopback: discovery, keys, token endpoint, RS256 ID tokens; and whatever it should get wrong. */
import { createHash, createSign, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Lies {
  /** Over what an honest ID token says. */
  claims?: Record<string, unknown>;
  /** Signs with a key that is not among its published ones. */
  foreignKey?: boolean;
  /** Kept out of the ID token: told by the userinfo endpoint alone. */
  onlyUserinfo?: Record<string, unknown>;
}

export interface IdentityProvider {
  readonly issuer: string;
  /** What the person signs in as; set by tests. */
  person: Record<string, unknown>;
  lies: Lies;
  /** Paths asked for, in order. */
  readonly asked: string[];
  /** What a browser does there: signs in and is sent back. @returns the query of the way back, `?` included */
  visit(authorizationUrl: string): string;
  close(): Promise<void>;
}

export const CLIENT = { id: 'pointsman-test', secret: 'a-client-secret-of-the-test' };

export async function identityProvider(): Promise<IdentityProvider> {
  const own = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const codes = new Map<string, { nonce: string; challenge: string; redirectUri: string }>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => {
      body += piece;
    });
    request.on('end', () => {
      const path = request.url!.split('?')[0]!;
      asked.push(path);
      const send = (status: number, value: unknown) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
      if (path === '/.well-known/openid-configuration') return send(200, metadata());
      if (path === '/jwks') {
        return send(200, {
          keys: [{ ...own.publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }],
        });
      }
      if (path === '/userinfo') return send(200, { sub: provider.person.sub, ...provider.lies.onlyUserinfo });
      if (path === '/authorize') {
        const url = new URL(request.url!, provider.issuer);
        const location = `${url.searchParams.get('redirect_uri')}${provider.visit(url.href)}`;
        return response.writeHead(302, { location }).end();
      }
      if (path !== '/token') return send(404, {});
      const form = new URLSearchParams(body);
      if (form.get('client_id') !== CLIENT.id || form.get('client_secret') !== CLIENT.secret) {
        return send(401, { error: 'invalid_client' });
      }
      const code = codes.get(form.get('code') ?? '');
      codes.delete(form.get('code') ?? '');
      const verified = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url');
      if (code === undefined || verified !== code.challenge || form.get('redirect_uri') !== code.redirectUri) {
        return send(400, { error: 'invalid_grant' });
      }
      const now = Math.floor(Date.now() / 1000);
      const claims = {
        ...{ iss: provider.issuer, aud: CLIENT.id, iat: now, exp: now + 300, nonce: code.nonce },
        ...provider.person,
        ...provider.lies.claims,
      };
      const key = provider.lies.foreignKey ? foreign.privateKey : own.privateKey;
      return send(200, { access_token: randomUUID(), token_type: 'bearer', id_token: signed(claims, key) });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const metadata = () => ({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    userinfo_endpoint: `${issuer}/userinfo`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    code_challenge_methods_supported: ['S256'],
  });
  const provider: IdentityProvider = {
    issuer,
    person: { sub: 'u-1', name: 'Ada', groups: ['engineers'] },
    lies: {},
    asked,
    visit(authorizationUrl) {
      const { searchParams: asks } = new URL(authorizationUrl);
      const code = randomUUID();
      codes.set(code, {
        nonce: asks.get('nonce')!,
        challenge: asks.get('code_challenge')!,
        redirectUri: asks.get('redirect_uri')!,
      });
      return `?${new URLSearchParams({ code, state: asks.get('state')! })}`;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return provider;
}

function signed(claims: object, key: KeyObject): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'RS256', typ: 'JWT', kid: 'one' })}.${part(claims)}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`;
}
