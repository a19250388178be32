/** Random programs of changes by two teams and an admin, through the gateway, against a model: who comes in, and who sees what. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Role } from '../../../../server/db/records.ts';
import { accessOf } from '../../../../server/governance/access/access.ts';
import { createKey } from '../../../../server/governance/access/keys.ts';
import { ROLES } from '../../../../server/governance/access/roles.ts';
import { createTeam } from '../../../../server/governance/access/teams.ts';
import { type OpenedStore, storeKinds } from '../../db/stores.ts';
import { candidate, gatewayOver, type TestGateway } from '../../fakes.ts';
import { ADMIN } from './access.ts';

/** Commands of one program, and programs: each command is a request and its checks. */
const LENGTH = 12;
const RUNS = 25;

let opened: OpenedStore;
let gateway: TestGateway;
beforeAll(async () => {
  opened = await storeKinds[0]!.open();
  gateway = await gatewayOver([candidate('one/cheap')], {
    store: opened.store,
    config: { dataDir: opened.options.dataDir },
  });
  await gateway.gateway.governance.start();
});
afterAll(async () => {
  await gateway.close();
  await opened.close();
});

type Side = 'a' | 'b';
type Actor = 'admin' | Side | 'member';

interface ModelKey {
  readonly id: string;
  readonly secret: string;
  readonly side: Side;
  readonly name: string;
  role: Role;
  state: 'works' | 'replaced' | 'gone';
}

const side = fc.constantFrom<Side>('a', 'b');
const actor = fc.constantFrom<Actor>('admin', 'a', 'b', 'a', 'b', 'member');
const role = fc.constantFrom(...ROLES);
const nth = fc.nat(20);
const command = fc.oneof(
  fc.record({ do: fc.constant('create' as const), actor, side, role, name: fc.constantFrom('x', 'y', 'z') }),
  fc.record({ do: fc.constant('revoke' as const), actor, nth }),
  fc.record({ do: fc.constant('rotate' as const), actor, nth, overlaps: fc.boolean() }),
  fc.record({ do: fc.constant('update' as const), actor, nth, role }),
  fc.record({ do: fc.constant('archive' as const), actor, side, archived: fc.boolean() }),
);

/** Roles that each role may give: what they may do, the giver may. */
const MAY_GIVE: Readonly<Record<'admin' | 'manager', readonly Role[]>> = {
  admin: ROLES,
  manager: ['manager', 'member', 'read-only'],
};

test('whoever comes in, and whatever anybody sees, is as the model says', async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: LENGTH / 2, maxLength: LENGTH }), async (commands) => {
      const teams = { a: `a${++run}`, b: `b${run}` };
      const access = accessOf(gateway.gateway);
      const by = { actor: ADMIN };
      const made = async (name: string, team: string, as: Role) =>
        (await createKey(access, { name, team, role: as }, by)).secret;
      const secrets = new Map<Actor, string>();
      for (const one of ['a', 'b'] as const) {
        await createTeam(access, { name: teams[one] }, by);
        secrets.set(one, await made('lead', teams[one], 'manager'));
      }
      secrets.set('member', await made('hand', teams.a, 'member'));
      secrets.set('admin', await made(`root${run}`, 'default', 'admin'));
      const archived: Record<Side, boolean> = { a: false, b: false };
      const keys: ModelKey[] = [];

      const ask = async (who: Actor, method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) => {
        const headers = {
          authorization: `Bearer ${secrets.get(who)}`,
          ...(payload && { 'content-type': 'application/json' }),
        };
        const response = await gateway.app.inject({ method, url, headers, ...(payload && { payload }) });
        return { status: response.statusCode, body: response.json() };
      };
      /** What comes before everything else, the same for every change. */
      const turnedAway = (who: Actor): number | null => {
        if (who !== 'admin' && archived[who === 'b' ? 'b' : 'a']) return 401;
        return who === 'member' ? 403 : null;
      };
      const onKey = (who: Actor, key: ModelKey): number | null => {
        const away = turnedAway(who);
        if (away !== null) return away;
        if (who !== 'admin' && key.side !== who) return 404;
        return who !== 'admin' && key.role === 'admin' ? 403 : null;
      };

      for (const one of commands) {
        const key = 'nth' in one ? keys[one.nth % Math.max(1, keys.length)] : undefined;
        if ('nth' in one && key === undefined) continue;
        if (one.do === 'create') {
          const { status, body } = await ask(one.actor, 'POST', '/v1/admin/keys', {
            ...{ name: one.name, team: teams[one.side], role: one.role },
          });
          const isTaken = keys.some(
            ({ side: there, name, state }) => there === one.side && name === one.name && state !== 'gone',
          );
          const may = MAY_GIVE[one.actor === 'admin' ? 'admin' : 'manager'].includes(one.role);
          const expected =
            turnedAway(one.actor) ??
            ((one.actor !== 'admin' && one.actor !== one.side) || !may
              ? 403
              : archived[one.side] || isTaken
                ? 409
                : 201);
          expect([one, status]).toEqual([one, expected]);
          if (status === 201) {
            keys.push({
              id: body.key.id,
              secret: body.secret,
              side: one.side,
              name: one.name,
              role: one.role,
              state: 'works',
            });
          }
        } else if (one.do === 'revoke') {
          const { status } = await ask(one.actor, 'DELETE', `/v1/admin/keys/${key!.id}`);
          expect([one, status]).toEqual([one, onKey(one.actor, key!) ?? 200]);
          if (status === 200) key!.state = 'gone';
        } else if (one.do === 'rotate') {
          const overlapMinutes = one.overlaps ? 60 : 0;
          const { status, body } = await ask(one.actor, 'POST', `/v1/admin/keys/${key!.id}/rotate`, { overlapMinutes });
          expect([one, status]).toEqual([one, onKey(one.actor, key!) ?? (key!.state === 'works' ? 201 : 409)]);
          if (status === 201) {
            key!.state = one.overlaps ? 'replaced' : 'gone';
            keys.push({ ...key!, id: body.key.id, secret: body.secret, state: 'works' });
          }
        } else if (one.do === 'update') {
          const { status } = await ask(one.actor, 'PATCH', `/v1/admin/keys/${key!.id}`, { role: one.role });
          const may = MAY_GIVE[one.actor === 'admin' ? 'admin' : 'manager'].includes(one.role);
          expect([one, status]).toEqual([
            one,
            onKey(one.actor, key!) ?? (key!.state !== 'works' ? 409 : may ? 200 : 403),
          ]);
          if (status === 200) key!.role = one.role;
        } else {
          const path = `/v1/admin/teams/${teams[one.side]}`;
          const { status } = await ask(one.actor, 'PATCH', path, { archived: one.archived });
          const expected = turnedAway(one.actor) ?? (one.actor === 'admin' ? 200 : one.actor === one.side ? 403 : 404);
          expect([one, status]).toEqual([one, expected]);
          if (status === 200) archived[one.side] = one.archived;
        }

        for (const { secret, side: team, role: its, state } of keys) {
          let found: object | null = null;
          try {
            found = gateway.gateway.setup.callers.find(secret);
          } catch {
            // Refused.
          }
          const works = state !== 'gone' && !archived[team];
          if (works) expect(found).toMatchObject({ tenant: teams[team], role: its });
          else expect(found).toBeNull();
        }
      }

      for (const who of ['a', 'b'] as const) {
        if (archived[who]) continue;
        const own = keys.filter((key) => key.side === who).map(({ id }) => id);
        const { body: list } = await ask(who, 'GET', '/v1/admin/keys?limit=1000');
        expect(new Set(list.keys.map(({ team }: { team: string }) => team))).toEqual(new Set([teams[who]]));
        const seen = list.keys.map(({ id }: { id: string }) => id);
        expect(seen.filter((id: string) => keys.some((key) => key.id === id)).sort()).toEqual(own.sort());
        const { body: log } = await ask(who, 'GET', '/v1/admin/audit?limit=500');
        expect(new Set(log.entries.map(({ team }: { team: string }) => team))).toEqual(new Set([teams[who]]));
        const { body: its } = await ask(who, 'GET', '/v1/admin/teams');
        expect(its.teams.map(({ name }: { name: string }) => name)).toEqual([teams[who]]);
        const other = teams[who === 'a' ? 'b' : 'a'];
        for (const path of ['keys', 'teams', 'audit']) {
          expect((await ask(who, 'GET', `/v1/admin/${path}?team=${other}`)).status).toBe(404);
        }
        const told = JSON.stringify([list, log, its]);
        for (const { secret } of keys) expect(told).not.toContain(secret.slice(10));
      }
    }),
    { numRuns: RUNS },
  );
}, 120_000);
