/** What is reckoned from the newest rows, and the page, on a gateway with a database, a router and traffic of its own. */
import { rm } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningGateway, startGateway } from '../../../server/main.ts';
import type { UsageCurve, UsageHealth } from '../../../server/usage/contract.ts';
import type { UsageObserve } from '../../../server/usage/observe.ts';
import { rollUp } from '../../../server/usage/roll-up.ts';
import { chromiumPath, openBrowser } from '../../browser.ts';
import { aDecision, anAttempt } from '../db/records.ts';
import { tempDir } from '../db/stores.ts';
import { completion, sendJson, type Upstream, upstream } from '../fakes.ts';

const ADMIN = 'admin-key-of-the-test-0123456789';
const SEARCH = 'search-key-of-the-test-0123456789';
const CALLER = 'caller-key-of-the-test-0123456789';
const NAMED = 'openai/gpt-5.4-mini';

let dataDir: string;
let host: Upstream;
let gateway: RunningGateway;

const ask = async (path: string, key = ADMIN): Promise<{ status: number; body: unknown }> => {
  const reply = await fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${key}` } });
  return { status: reply.status, body: await reply.json() };
};
const told = async <T>(path: string, key = ADMIN): Promise<T> => {
  const { status, body } = await ask(path, key);
  expect(status, JSON.stringify(body)).toBe(200);
  return body as T;
};
const send = (model: string, content: string, key: string) =>
  fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content }] }),
  });

beforeAll(async () => {
  dataDir = await tempDir();
  host = await upstream((_, response, { model }) =>
    // One of the models fails every time.
    model === 'flaky' ? sendJson(response, { error: { message: 'away' } }, 500) : sendJson(response, completion()),
  );
  gateway = await startGateway({
    file: false,
    env: { OPENAI_API_KEY: 'test' },
    overrides: {
      ...{ port: 0, logLevel: 'silent', dataDir, baseline: 'openai/gpt-6-sol', observe: { share: 1 } },
      providers: { openai: { baseUrl: host.url } },
      keys: [
        {
          key: ADMIN,
          name: 'ada',
          tenant: 'checkout',
          scopes: ['call', 'feedback', 'usage', 'manage', 'admin', 'learn'],
        },
        { key: SEARCH, name: 'sam', tenant: 'search', scopes: ['call', 'usage'] },
        { key: CALLER, name: 'bot', tenant: 'checkout', scopes: ['call'] },
      ],
    },
  });
  const questions = [
    'What is 12 x 12?',
    'Prove that there is no largest prime.',
    'Say hello.',
    'Write a haiku on rain.',
  ];
  for (const question of questions) {
    await send('auto', question, ADMIN);
    await send('auto', question, SEARCH);
    await send(NAMED, question, CALLER);
  }
  // So often that it rests for two minutes.
  for (let i = 0; i < 8; i++) await send('openai/flaky', 'Are you there?', ADMIN);
  await gateway.store.flush();
  await rollUp(gateway.store);
}, 60_000);
afterAll(async () => {
  await gateway?.close();
  await host?.close();
  await rm(dataDir, { recursive: true, force: true });
});

describe('the curve', () => {
  test('is reckoned from the routed requests of all teams, or of one', async () => {
    const all = await told<UsageCurve>('/v1/usage/curve');
    expect(all.sample).toBe(8);
    expect(all.points).toHaveLength(21);
    expect(all.current.dial).toBe(5);
    expect(all.current.costUsd).toBeCloseTo(all.points[10]!.costUsd, 12);
    expect(all.points[20]!.quality).toBeGreaterThanOrEqual(all.points[0]!.quality);
    expect(all.points[20]!.costUsd).toBeGreaterThanOrEqual(all.points[0]!.costUsd);
    expect((await told<UsageCurve>('/v1/usage/curve?team=search')).sample).toBe(4);
    expect((await told<UsageCurve>('/v1/usage/curve', SEARCH)).sample).toBe(4);
    expect((await told<UsageCurve>('/v1/usage/curve?sample=3')).sample).toBe(3);
  });

  test('at the dial in force it is what the router itself decided', async () => {
    const { points } = await told<UsageCurve>('/v1/usage/curve?sample=2000');
    const decided = await told<{ decisions: { model: string; requestedModel: string }[] }>('/v1/usage/decisions');
    const routed = decided.decisions.filter(({ requestedModel }) => requestedModel === 'auto');
    const shares = new Map<string, number>();
    for (const { model } of routed) shares.set(model, (shares.get(model) ?? 0) + 1 / routed.length);
    expect(Object.keys(points[10]!.models).sort()).toEqual([...shares.keys()].sort());
    for (const [model, share] of shares) expect(points[10]!.models[model]).toBeCloseTo(share, 9);
  });

  test('nothing is there for a team without routed requests', async () => {
    expect(await told('/v1/usage/curve?team=nobody')).toEqual({ sample: 0, current: null, points: [] });
  });
});

describe('observe mode', () => {
  test('too few requests get no interval', async () => {
    const { observed, enough, share } = await told<UsageObserve>('/v1/usage/observe');
    // Four of the bot's; those that nobody answered are none.
    expect(observed).toMatchObject({ requests: 4, savedUsd: null });
    expect({ enough, share }).toEqual({ enough: 30, share: 1 });
    expect((await told<UsageObserve>('/v1/usage/observe', SEARCH)).observed.requests).toBe(0);
    const past = await told<UsageObserve>('/v1/usage/observe?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z');
    expect(past.observed.requests).toBe(0);
  });

  test('enough of them get a verdict, over the newest ones', async () => {
    const predicted = (costUsd: number, quality: number) => ({ costUsd, quality, outputTokens: 10 });
    for (let i = 0; i < 40; i++) {
      const id = i.toString(16).padStart(32, 'f');
      const createdAt = new Date(Date.UTC(2021, 0, 1, 0, i));
      const observed = {
        ...{ model: 'a/small', reason: 'cheapest_adequate', propensity: 1, artifact: 'x' },
        ...{ chosen: predicted(0.25, 0.8), named: predicted(1, 0.9) },
      };
      gateway.store.record({
        decision: aDecision({
          id,
          createdAt,
          routed: false,
          session: null,
          tenant: 'past',
          model: 'b/large',
          executedModel: 'b/large',
          observed,
        }),
        attempt: anAttempt({
          id: `a${id}`,
          decisionId: id,
          startedAt: createdAt,
          model: 'b/large',
          purpose: 'answer',
          status: 'ok',
          costUsd: 2,
        }),
      });
    }
    await gateway.store.flush();
    const { observed } = await told<UsageObserve>(
      '/v1/usage/observe?team=past&from=2021-01-01T00:00:00Z&to=2021-01-02T00:00:00Z',
    );
    // 40 · 2 USD paid; a quarter of it with auto, for a tenth less of quality.
    expect(observed).toMatchObject({ requests: 40, unknown: 0, paidUsd: 80 });
    expect(observed.autoUsd!.value).toBeCloseTo(20);
    expect(observed.savedShare!.value).toBeCloseTo(0.75);
    expect(observed.qualityDifference!.value).toBeCloseTo(-0.1);
  });
});

describe('health', () => {
  test('a deployment that keeps failing rests, and is first', async () => {
    const { deployments } = await told<UsageHealth>('/v1/usage/health');
    expect(deployments[0]).toMatchObject({ deployment: 'openai/flaky', model: 'openai/flaky', rests: true });
    expect(deployments[0]!.restsForMs).toBeGreaterThan(0);
    expect(deployments[0]!.errors).toBeGreaterThanOrEqual(3);
    const named = deployments.find(({ deployment }) => deployment === NAMED)!;
    expect(named).toMatchObject({ rests: false, restsForMs: null, errors: 0 });
    expect(named.requests).toBeGreaterThanOrEqual(4);
    expect(named.p95Ms).toBeGreaterThan(0);
    // Models that nobody called are there, too.
    expect(deployments.some(({ requests }) => requests === 0)).toBe(true);
  });

  test('calls of other teams are not counted for those who see their own', async () => {
    const { deployments } = await told<UsageHealth>('/v1/usage/health', SEARCH);
    expect(deployments.reduce((sum, { requests }) => sum + requests, 0)).toBe(4);
    // Nor is it told what they call beside the catalog.
    expect(deployments.some(({ deployment }) => deployment === 'openai/flaky')).toBe(false);
  });
});

test.each(['curve', 'observe', 'health'])('%s is for who sees usage, and for the own team', async (name) => {
  expect((await ask(`/v1/usage/${name}`, CALLER)).status).toBe(403);
  expect((await ask(`/v1/usage/${name}`, 'wrong')).status).toBe(401);
  expect((await ask(`/v1/usage/${name}?team=checkout`, SEARCH)).status).toBe(404);
  const { status, body } = await ask(`/v1/usage/${name}?tema=x`);
  expect({ status, body }).toMatchObject({ status: 400, body: { error: { param: 'tema', code: 'INVALID_REQUEST' } } });
});

test.each([
  ['curve?sample=0', 'sample'],
  ['curve?sample=2001', 'sample'],
  ['curve?sample=many', 'sample'],
  ['observe?from=yesterday', 'from'],
  ['observe?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z', 'from'],
  ['health?team=', 'team'],
])('%s is refused, naming the field', async (path, param) => {
  expect(await ask(`/v1/usage/${path}`)).toMatchObject({ status: 400, body: { error: { param } } });
});

test('a decision is seen by its key and by who sees its team’s usage, and by nobody else', async () => {
  const { decisions } = await told<{ decisions: { id: string; team: string; key: string }[] }>('/v1/usage/decisions');
  const ofBot = decisions.find(({ key }) => key === 'bot')!;
  const ofSam = decisions.find(({ key }) => key === 'sam')!;
  expect((await ask(`/v1/decisions/${ofBot.id}`, CALLER)).status).toBe(200);
  expect((await ask(`/v1/decisions/${ofBot.id}`, ADMIN)).status).toBe(200);
  expect((await ask(`/v1/decisions/${ofBot.id}`, SEARCH)).status).toBe(404);
  expect((await ask(`/v1/decisions/${ofSam.id}`, CALLER)).status).toBe(404);
  expect((await ask(`/v1/decisions/${ofSam.id}`, ADMIN)).status).toBe(200);
});

if (chromiumPath() === undefined) await openBrowser();

describe.skipIf(chromiumPath() === undefined)('the page', () => {
  let browser: Browser;
  let page: Page;
  const problems: string[] = [];
  beforeAll(async () => {
    browser = (await openBrowser())!;
    page = await browser.newPage({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
    page.on('pageerror', ({ message }) => problems.push(message));
  }, 60_000);
  afterAll(() => browser?.close());

  const heading = (text: string) => page.locator('h1', { hasText: text }).waitFor();

  test('people sign in with a key, and every section answers', async () => {
    await page.goto(`${gateway.url}/dashboard`);
    await heading('Sign in');
    await page.getByLabel('Key').fill(ADMIN);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await heading('Overview');
    expect(await page.locator('.figure', { hasText: 'Requests' }).locator('.figure-value').textContent()).toBe('20');
    for (const name of await page.locator('nav a').allTextContents()) {
      await page.getByRole('link', { name, exact: true }).click();
      await heading(name);
      await expect.poll(() => page.locator('.placeholder, .stale').count(), { timeout: 20_000 }).toBe(0);
      expect(await page.locator('[role=alert]').allTextContents(), name).toEqual([]);
    }
    expect(problems).toEqual([]);
  }, 60_000);

  test('a decision is opened, a key made, a budget set', async () => {
    await page.getByRole('link', { name: 'Decisions' }).click();
    await page.locator('tbody tr', { hasText: 'auto' }).first().locator('button').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('What it was weighed against').waitFor();
    expect(
      await dialog
        .getByRole('table', { name: /Candidates/ })
        .locator('tbody tr')
        .count(),
    ).toBeGreaterThan(1);
    await page.keyboard.press('Escape');
    await page.getByRole('link', { name: 'Keys' }).click();
    await page.getByRole('button', { name: 'New key' }).click();
    await dialog.getByLabel('Name').fill('web');
    await dialog.getByRole('button', { name: 'Make it' }).click();
    const secret = await dialog.locator('code[tabindex]').textContent();
    expect((await ask('/v1/models', secret!)).status).toBe(200);
    await page.getByRole('button', { name: 'I have it' }).click();
    await page.getByRole('link', { name: 'Teams & budgets' }).click();
    await page.getByRole('button', { name: 'New budget' }).click();
    await dialog.getByLabel('Name').fill('all of it');
    await dialog.getByLabel('USD').fill('100');
    await dialog.getByRole('button', { name: 'Make it' }).click();
    await page.locator('.row', { hasText: 'all of it' }).waitFor();
    await page.getByRole('link', { name: 'Audit log' }).click();
    await page.locator('tbody tr', { hasText: 'key.create' }).first().waitFor();
    expect(problems).toEqual([]);
  }, 60_000);

  test('whoever signs out is out', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click();
    await heading('Sign in');
    await page.reload();
    await heading('Sign in');
  }, 30_000);
});
