/**
 * Two teams on one gateway, doing anything in any order: nothing that either is told ever holds a word of the other's,
 * and nothing that either does changes what the other has.
 */
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningGateway, startGateway } from '../../../server/main.ts';
import { tempDir } from '../db/stores.ts';
import { completion } from '../fakes.ts';

const ADMIN = 'pm_admin-key-of-this-test-and-of-no-other-0123456789';
const MODEL = 'openai/gpt-6-luna';

interface Team {
  readonly name: string;
  readonly manager: string;
  readonly member: string;
  /** What is its own, by kind; the last ones are the newest. */
  readonly own: Record<'decision' | 'key' | 'limit' | 'file', string[]>;
}

let running: RunningGateway;
let host: Server;
let folder: string;
let teams: readonly [Team, Team];
let files = 0;

beforeAll(async () => {
  folder = await tempDir();
  // Both have the same provider, and its account is one.
  host = createServer((request, response) => {
    request.resume();
    const isFile = request.url?.includes('/files') === true;
    const answer = isFile ? { id: `file-${++files}`, object: 'file', bytes: 3, purpose: 'batch' } : completion();
    request.on('end', () =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer)),
    );
  });
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  const hostUrl = `http://127.0.0.1:${(host.address() as AddressInfo).port}/v1`;
  running = await startGateway({
    file: false,
    env: { OPENAI_API_KEY: 'of-the-provider-0123456789', OPENAI_BASE_URL: hostUrl, POINTSMAN_ADMIN_KEY: ADMIN },
    overrides: { port: 0, dataDir: join(folder, 'data'), logLevel: 'silent', auth: 'required' },
  });
  const made: Team[] = [];
  for (const name of ['alpha', 'omega']) {
    await ask('POST', '/v1/admin/teams', ADMIN, { name });
    const keyFor = async (role: string) =>
      (await ask('POST', '/v1/admin/keys', ADMIN, { name: `${name}-${role}`, team: name, role })).body.secret as string;
    made.push({
      ...{ name, manager: await keyFor('manager'), member: await keyFor('member') },
      own: { decision: [], key: [], limit: [], file: [] },
    });
  }
  teams = made as unknown as [Team, Team];
}, 120_000);
afterAll(async () => {
  await running?.close();
  host?.closeAllConnections();
  host?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

interface Told {
  readonly status: number;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers of many kinds
  readonly body: any;
  readonly headers: Headers;
}

async function ask(method: string, path: string, key: string, body?: object, more: object = {}): Promise<Told> {
  const response = await fetch(`${running.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...more,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Lines of JSON, or nothing.
  }
  return { status: response.status, text, body: parsed, headers: response.headers };
}

interface Step {
  readonly who: 0 | 1;
  readonly what: (typeof WHAT)[number];
  /** Which of the objects at hand, of one's own or of the other's. */
  readonly which: number;
  readonly ofOther: boolean;
}

const WHAT = [
  ...['chat', 'chat', 'decision', 'feedback', 'export', 'erase', 'summary', 'series', 'breakdown', 'decisions'],
  ...['calibration', 'keys', 'makeKey', 'showKey', 'rotateKey', 'revokeKey', 'teams', 'patchTeam', 'limits'],
  ...['makeLimit', 'changeLimit', 'dropLimit', 'audit', 'me', 'upload', 'file', 'files', 'asOther'],
] as const;

/** Those that may change something of somebody's. */
const CHANGES: ReadonlySet<Step['what']> = new Set<Step['what']>([
  ...(['erase', 'makeKey', 'rotateKey', 'revokeKey', 'patchTeam', 'makeLimit', 'changeLimit', 'dropLimit'] as const),
]);

/** One thing that a team does. @returns what it was told, and whether it was about something of the other's */
async function act({ who, what, which, ofOther }: Step): Promise<{ told: Told; isOthers: boolean }> {
  const me = teams[who];
  const other = teams[1 - who]!;
  const pick = (kind: keyof Team['own']) => {
    const from = (ofOther ? other : me).own[kind];
    return from.length === 0 ? 'none' : from[which % from.length]!;
  };
  const mine = async (told: Promise<Told>) => ({ told: await told, isOthers: false });
  const maybe = async (told: Promise<Told>) => ({ told: await told, isOthers: ofOther });
  const { manager, member } = me;
  const team = ofOther ? other.name : me.name;
  switch (what) {
    case 'chat': {
      const body = { model: MODEL, user: `person-of-${me.name}`, messages: [{ role: 'user', content: 'hello' }] };
      const told = await ask('POST', '/v1/chat/completions', member, body, {
        'x-session-id': 'the same for both',
        'x-pointsman-tags': `tag-of-${me.name}`,
      });
      expect(told.status).toBe(200);
      me.own.decision.push(told.headers.get('x-pointsman-decision-id')!);
      return { told, isOthers: false };
    }
    case 'decision':
      return maybe(ask('GET', `/v1/decisions/${pick('decision')}`, which % 2 === 0 ? member : manager));
    case 'feedback':
      return maybe(ask('POST', '/v1/feedback', member, { decisionId: pick('decision'), score: 1, source: 'user' }));
    case 'export':
      return mine(ask('GET', '/v1/export/decisions', manager));
    case 'erase':
      // The other's user: there is nobody of that name here.
      return mine(ask('POST', '/v1/erase', manager, { user: `person-of-${ofOther ? other.name : 'nobody'}` }));
    case 'summary':
    case 'series':
    case 'breakdown':
    case 'calibration':
    case 'decisions': {
      const by = what === 'breakdown' || what === 'series' ? 'by=key' : '';
      const named = ofOther ? `team=${other.name}` : '';
      const told = await ask('GET', `/v1/usage/${what}?${[by, named].filter(Boolean).join('&')}`, member);
      if (ofOther) expect(told.status, what).not.toBe(200);
      return { told, isOthers: false };
    }
    case 'keys':
      return mine(ask('GET', `/v1/admin/keys${ofOther ? `?team=${other.name}` : ''}`, manager));
    case 'makeKey': {
      const told = await ask('POST', '/v1/admin/keys', manager, {
        name: `${team}-made-${which}`,
        team,
        role: 'member',
      });
      if (ofOther) expect(told.status).toBeGreaterThanOrEqual(400);
      else if (told.status === 201) me.own.key.push(told.body.key.id);
      return { told, isOthers: false };
    }
    case 'showKey':
      return maybe(ask('GET', `/v1/admin/keys/${pick('key')}`, manager));
    case 'rotateKey': {
      const { told, isOthers } = await maybe(ask('POST', `/v1/admin/keys/${pick('key')}/rotate`, manager));
      if (!ofOther && told.status === 201) me.own.key.push(told.body.key.id);
      return { told, isOthers };
    }
    case 'revokeKey':
      return maybe(ask('DELETE', `/v1/admin/keys/${pick('key')}`, manager));
    case 'teams':
      return mine(ask('GET', '/v1/admin/teams', manager));
    case 'patchTeam': {
      const told = await ask('PATCH', `/v1/admin/teams/${team}`, manager, { description: `said by ${me.name}` });
      if (ofOther) expect(told.status).toBeGreaterThanOrEqual(400);
      return { told, isOthers: false };
    }
    case 'limits':
      return mine(ask('GET', '/v1/admin/limits', manager));
    case 'makeLimit': {
      const terms = { kind: 'budget', name: `${me.name}-${which}`, usd: 1000, period: 'day' };
      const whose = ofOther ? { team: other.name } : { team: me.name, key: `${me.name}-member` };
      const told = await ask('POST', '/v1/admin/limits', manager, { ...terms, ...whose });
      if (ofOther) expect(told.status).toBeGreaterThanOrEqual(400);
      else if (told.status === 201) me.own.limit.push(told.body.id);
      return { told, isOthers: false };
    }
    case 'changeLimit':
      return maybe(ask('PATCH', `/v1/admin/limits/${pick('limit')}`, manager, { usd: 2000 }));
    case 'dropLimit':
      return maybe(ask('DELETE', `/v1/admin/limits/${pick('limit')}`, manager));
    case 'audit':
      return mine(ask('GET', '/v1/admin/audit', manager));
    case 'me':
      return mine(ask('GET', '/v1/me', member));
    case 'upload': {
      const form = new FormData();
      form.set('purpose', 'batch');
      form.set('file', new Blob(['{}\n']), 'batch.jsonl');
      const response = await fetch(`${running.url}/v1/files`, {
        method: 'POST',
        headers: { authorization: `Bearer ${member}` },
        body: form,
      });
      const text = await response.text();
      if (response.status === 200) me.own.file.push(JSON.parse(text).id);
      return { told: { status: response.status, text, body: null, headers: response.headers }, isOthers: false };
    }
    case 'file':
      return maybe(ask('GET', `/v1/files/${pick('file')}`, member));
    case 'files':
      return mine(ask('GET', '/v1/files', member));
    case 'asOther':
      // What a client says of itself counts for nothing.
      return mine(ask('GET', '/v1/usage/summary', member, undefined, { 'x-pointsman-team': other.name }));
  }
}

/** Words that are a team's alone. */
const ownWords = ({ name, own }: Team): string[] => [
  ...[`${name}-`, `tag-of-${name}`, `person-of-${name}`, `said by ${name}`, `"${name}"`],
  ...own.decision,
  ...own.key,
  ...own.limit,
];

/** What a team has, as it sees it itself. */
async function holdings({ manager, own }: Team): Promise<unknown> {
  const [keys, limits, teamList] = await Promise.all([
    ask('GET', '/v1/admin/keys', manager),
    ask('GET', '/v1/admin/limits', manager),
    ask('GET', '/v1/admin/teams', manager),
  ]);
  const decisions = await Promise.all(
    own.decision.slice(-5).map(async (id) => (await ask('GET', `/v1/decisions/${id}`, manager)).status),
  );
  return {
    keys: keys.body.keys.map(({ lastUsedAt: _, ...key }: { lastUsedAt: unknown }) => key),
    // What is used of them moves by itself.
    limits: limits.body.limits.map(({ id, name, usd }: Record<string, unknown>) => ({ id, name, usd })),
    teams: teamList.body.teams,
    decisions,
  };
}

const step: fc.Arbitrary<Step> = fc.record({
  who: fc.constantFrom(0 as const, 1 as const),
  what: fc.constantFrom(...WHAT),
  which: fc.nat(7),
  ofOther: fc.boolean(),
});

test('nothing that one is told is the other’s, and nothing that one does changes what the other has', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      for (const one of steps) {
        const other = teams[1 - one.who]!;
        const changes = CHANGES.has(one.what);
        const before = changes ? await holdings(other) : null;
        const { told, isOthers } = await act(one);
        const what = `${one.what}${one.ofOther ? ' of the other' : ''} by ${teams[one.who].name}`;
        expect(told.status, `${what}: ${told.text.slice(0, 300)}`).toBeLessThan(500);
        // To ask for what is not one's own is to ask for what is not there.
        if (isOthers) expect(told.status, what).toBe(404);
        // An error may repeat what the request itself named.
        if (told.status < 400) {
          for (const word of ownWords(other)) expect(told.text.includes(word), `${what}: ${word}`).toBe(false);
        }
        if (changes) expect(await holdings(other), what).toEqual(before);
      }
    }),
    { numRuns: 15, seed: 7, endOnFailure: true },
  );
}, 180_000);
