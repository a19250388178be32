/** Sign-in by an identity provider: against a real small one, honest and lying. */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { OidcConfig } from '../../../../server/governance/access/config.ts';
import { Oidc, standingOf } from '../../../../server/governance/access/oidc.ts';
import { CLIENT, type IdentityProvider, identityProvider } from './identity-provider.ts';

let idp: IdentityProvider;
beforeAll(async () => {
  idp = await identityProvider();
});
afterAll(() => idp.close());
beforeEach(() => {
  idp.person = { sub: 'u-1', name: 'Ada', groups: ['engineers'] };
  idp.lies = {};
});

const GROUPS = {
  engineers: { role: 'member', team: 'search' },
  leads: { role: 'manager', team: 'search' },
  ops: { role: 'admin' },
} as const;

const configOf = (more: object = {}) =>
  OidcConfig.parse({
    issuer: idp.issuer,
    clientId: CLIENT.id,
    publicUrl: 'https://gateway.example.com/',
    groups: GROUPS,
    ...more,
  });

const over = (more: object = {}, options: { now?: () => number; secret?: string | null } = {}) =>
  new Oidc({
    config: () => configOf(more),
    secretOf: (name) => (name === 'POINTSMAN_OIDC_SECRET' ? (options.secret ?? CLIENT.secret) : undefined),
    ...(options.now && { now: options.now }),
  });

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'nothing was thrown',
    (error) => error.code,
  );

describe('a person whom the provider vouches for', () => {
  test('comes in with the role and the team of their group', async () => {
    const oidc = over();
    const { url, cookie } = await oidc.begin();
    expect(await oidc.complete(idp.visit(url), cookie)).toEqual({
      subject: 'u-1',
      name: 'Ada',
      role: 'member',
      team: 'search',
      keyId: null,
    });
  });

  test('is sent there with PKCE, a state, a nonce and the way back', async () => {
    const { url } = await over().begin();
    const { origin, searchParams } = new URL(url);
    expect(origin).toBe(idp.issuer);
    expect(searchParams.get('redirect_uri')).toBe('https://gateway.example.com/auth/callback');
    expect(searchParams.get('code_challenge_method')).toBe('S256');
    expect(searchParams.get('scope')).toBe('openid profile email');
    for (const name of ['state', 'nonce', 'code_challenge']) expect(searchParams.get(name)).toMatch(/^[\w-]{43}$/);
  });

  test('may be completed by another replica that has the same secret', async () => {
    const { url, cookie } = await over().begin();
    expect((await over().complete(idp.visit(url), cookie)).subject).toBe('u-1');
  });

  test('is asked about at the userinfo endpoint where the ID token tells no groups', async () => {
    idp.person = { sub: 'u-2', email: 'ada@example.com' };
    idp.lies = { onlyUserinfo: { groups: ['ops'] } };
    const oidc = over();
    const { url, cookie } = await oidc.begin();
    expect(await oidc.complete(idp.visit(url), cookie)).toMatchObject({
      name: 'ada@example.com',
      role: 'admin',
      team: null,
    });
  });

  test.each([
    ['realm_access.roles', { realm_access: { roles: ['leads'] } }],
    ['https://example.com/groups', { 'https://example.com/groups': 'leads' }],
  ])('may have their groups in the claim %s', async (groupsClaim, claims) => {
    idp.person = { sub: 'u-1', name: 'Ada', ...claims };
    const oidc = over({ groupsClaim });
    const { url, cookie } = await oidc.begin();
    expect((await oidc.complete(idp.visit(url), cookie)).role).toBe('manager');
  });
});

describe('nobody comes in', () => {
  const attempt = async (oidc = over()) => {
    const { url, cookie } = await oidc.begin();
    return oidc.complete(idp.visit(url), cookie);
  };
  const hourAgo = () => Math.floor(Date.now() / 1000) - 3600;

  test.each<[string, () => void]>([
    ['a nonce of another sign-in', () => (idp.lies = { claims: { nonce: 'another' } })],
    ['a token that has expired', () => (idp.lies = { claims: { iat: hourAgo() - 300, exp: hourAgo() } })],
    ['a token for another client', () => (idp.lies = { claims: { aud: 'another' } })],
    ['a token of another issuer', () => (idp.lies = { claims: { iss: 'https://evil.example.com' } })],
    ['a token that somebody else signed', () => (idp.lies = { foreignKey: true })],
    ['a token without a subject', () => (idp.lies = { claims: { sub: undefined } })],
  ])('by %s', async (_, lie) => {
    lie();
    expect(await codeOf(attempt())).toBe('UNAUTHORIZED');
  });

  test.each([
    ['in no group that is mapped', { groups: ['gardeners'] }],
    ['whose groups are a number', { groups: 7 }],
    ['in no group at all', {}],
    ['in a group that is called as what every object has', { groups: ['constructor', '__proto__'] }],
  ])('who is %s', async (_, claims) => {
    idp.person = { sub: 'u-1', name: 'Ada', ...claims };
    expect(await codeOf(attempt())).toBe('FORBIDDEN');
  });

  test('by a state that this browser did not begin with', async () => {
    const oidc = over();
    const [mine, other] = [await oidc.begin(), await oidc.begin()];
    expect(await codeOf(oidc.complete(idp.visit(other.url), mine.cookie))).toBe('INVALID_REQUEST');
    expect(await codeOf(oidc.complete(idp.visit(mine.url), undefined))).toBe('INVALID_REQUEST');
  });

  test('by a cookie that was changed', async () => {
    const oidc = over();
    const { url, cookie } = await oidc.begin();
    const [text, signature] = cookie.split('.') as [string, string];
    const begun = JSON.parse(Buffer.from(text, 'base64url').toString());
    const later = Buffer.from(JSON.stringify({ ...begun, until: begun.until + 1 })).toString('base64url');
    const query = idp.visit(url);
    expect(await codeOf(oidc.complete(query, `${later}.${signature}`))).toBe('INVALID_REQUEST');
    expect((await oidc.complete(query, cookie)).subject).toBe('u-1');
  });

  test('by whatever else a browser may hold in place of the cookie', async () => {
    const oidc = over();
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.string(), async (search, cookie) => {
        expect(await codeOf(oidc.complete(`?${search}`, cookie))).toBe('INVALID_REQUEST');
      }),
      { numRuns: 200 },
    );
  });

  test('twice by the same way back, here or on another replica', async () => {
    const oidc = over();
    const { url, cookie } = await oidc.begin();
    const query = idp.visit(url);
    await oidc.complete(query, cookie);
    expect(await codeOf(oidc.complete(query, cookie))).toBe('INVALID_REQUEST');
    // The other replica does not know the state was used; the provider knows the code was.
    expect(await codeOf(over().complete(query, cookie))).toBe('UNAUTHORIZED');
  });

  test('later than ten minutes after they began', async () => {
    let now = Date.now();
    const oidc = over({}, { now: () => now });
    const { url, cookie } = await oidc.begin();
    now += 600_001;
    expect(await codeOf(oidc.complete(idp.visit(url), cookie))).toBe('INVALID_REQUEST');
  });

  test('whom the provider itself turns away', async () => {
    const oidc = over();
    const { url, cookie } = await oidc.begin();
    const state = new URL(url).searchParams.get('state')!;
    expect(await codeOf(oidc.complete(`?error=access_denied&state=${state}`, cookie))).toBe('FORBIDDEN');
  });

  test('while the provider is down, and the next one does when it is back', async () => {
    const down = await identityProvider();
    const oidc = over({ issuer: down.issuer });
    await down.close();
    expect(await codeOf(oidc.begin())).toBe('UPSTREAM_ERROR');
    let issuer = down.issuer;
    const moved = new Oidc({ config: () => configOf({ issuer }), secretOf: () => CLIENT.secret });
    expect(await codeOf(moved.begin())).toBe('UPSTREAM_ERROR');
    issuer = idp.issuer;
    expect((await attempt(moved)).subject).toBe('u-1');
  });

  test('through a gateway whose own secret is wrong: that is told as its fault', async () => {
    expect(await codeOf(attempt(over({}, { secret: 'wrong' })))).toBe('UPSTREAM_ERROR');
  });

  test('by a provider without TLS, unless it is on this machine', async () => {
    expect(await codeOf(over({ issuer: 'http://login.example.com' }).begin())).toBe('INVALID_CONFIG');
  });

  test('where no provider is set up', async () => {
    const oidc = over({ issuer: undefined });
    expect(oidc.isOn).toBe(false);
    expect(await codeOf(oidc.begin())).toBe('NOT_FOUND');
  });
});

describe('what groups come to', () => {
  const map = {
    a: { role: 'member', team: 'one' },
    b: { role: 'manager', team: 'two' },
    c: { role: 'manager', team: 'one' },
    d: { role: 'read-only', team: 'three' },
  } as const;

  test('the most powerful role, in the team of the group that is named first', () => {
    expect(standingOf(['d', 'a'], map)).toEqual({ role: 'member', team: 'one' });
    expect(standingOf(['c', 'b', 'a'], map)).toEqual({ role: 'manager', team: 'two' });
  });

  test('of the team that was asked for, where one was', () => {
    expect(standingOf(['c', 'b', 'a'], map, 'one')).toEqual({ role: 'manager', team: 'one' });
    expect(standingOf(['a'], map, 'two')).toBe(null);
    expect(standingOf(['ops'], GROUPS, 'two')).toEqual({ role: 'admin', team: null });
  });
});
