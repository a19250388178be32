import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { chromiumPath, openBrowser } from '../../browser.ts';
import { DAMAGE, HOSTILE, type MadeUpGateway, madeUpGateway, PAYLOADS } from './made-up.ts';

const SECTIONS = {
  overview: 'Overview',
  health: 'Models & health',
  quality: 'Quality',
  decisions: 'Decisions',
  'trade-off': 'Cost and quality',
  observe: 'Observe mode',
  learning: 'Learning',
  keys: 'Keys',
  budgets: 'Teams & budgets',
  audit: 'Audit log',
};
const NAMES = Object.keys(SECTIONS) as (keyof typeof SECTIONS)[];
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Found {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string;
    readonly nodes: readonly { html: string }[];
  }[];
}

const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 360, height: 740 };

let browser: Browser;
/** Shared by pages that ask for nothing special: what the page consists of is loaded once. */
let context: BrowserContext;
let gateway: MadeUpGateway;

// Says why where there is none.
if (chromiumPath() === undefined) await openBrowser();

describe.skipIf(chromiumPath() === undefined)('the page in Chromium', () => {
  beforeAll(async () => {
    browser = (await openBrowser())!;
    context = await browser.newContext({ viewport: WIDE, reducedMotion: 'reduce' });
    gateway = await madeUpGateway();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await gateway?.app.close();
  });
  beforeEach(() => {
    const usual = { names: undefined, scopes: undefined, isEmpty: undefined, fails: undefined };
    Object.assign(gateway.made, { ...usual, isOpen: undefined, moreKeys: undefined });
    gateway.changes.length = 0;
  });

  /** A page of its own, closed afterwards; what the browser complained of is in `problems`. */
  async function on(
    hash: string,
    look: (page: Page, problems: string[]) => Promise<void>,
    options?: Parameters<Browser['newPage']>[0],
  ): Promise<void> {
    const page = await (options === undefined ? context.newPage() : browser.newPage({ viewport: WIDE, ...options }));
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('dialog', (dialog) => {
      problems.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    try {
      await open(page, hash);
      await look(page, problems);
    } finally {
      await page.close();
    }
  }

  async function open(page: Page, hash: string): Promise<void> {
    await page.goto(`${gateway.url}/dashboard#/${hash}`);
    const title = SECTIONS[hash as keyof typeof SECTIONS];
    if (title === undefined || gateway.made.scopes !== undefined) await page.waitForSelector('h1');
    else await until(page, `document.querySelector('h1')?.textContent === ${JSON.stringify(title)}`);
    await settled(page);
  }

  const settled = async (page: Page): Promise<void> => {
    await until(page, `document.querySelector('.placeholder, .stale, [aria-busy="true"]') === null`);
  };

  /** Its own policy keeps strings from being run inside the page; asked from outside they are. */
  async function until(page: Page, expression: string): Promise<void> {
    await expect
      .poll(() => page.evaluate(expression), { timeout: 10_000, interval: 25, message: expression })
      .toBe(true);
  }

  async function violations(page: Page): Promise<string[]> {
    await page.evaluate(axe);
    const found = (await page.evaluate(`axe.run(document, { resultTypes: ['violations'] })`)) as Found;
    return found.violations.map(({ id, impact, nodes }) => `${impact}: ${id} ${nodes[0]!.html.slice(0, 200)}`);
  }

  const overflow = (page: Page) => page.evaluate('document.documentElement.scrollWidth - innerWidth');

  test('every section is shown, without complaints, and has no violation that axe knows', async () => {
    await on('overview', async (page, problems) => {
      for (const name of NAMES) {
        await open(page, name);
        expect(await page.title()).toBe(`${SECTIONS[name]} \u00b7 Pointsman`);
        expect(await page.locator('nav [aria-current=page]').textContent()).toBe(SECTIONS[name]);
        expect(await page.locator('main .panel').count(), name).toBeGreaterThan(0);
        expect(await page.locator('[role=alert]').count(), name).toBe(0);
        expect(await violations(page), name).toEqual([]);
      }
      expect(problems).toEqual([]);
    });
  }, 60_000);

  test('so it is in the dark and on small screens, and nothing runs out of the page', async () => {
    const small = { viewport: NARROW, colorScheme: 'dark', reducedMotion: 'reduce' } as const;
    await on(
      'overview',
      async (page, problems) => {
        for (const name of NAMES) {
          await open(page, name);
          expect(await overflow(page), name).toBeLessThanOrEqual(0);
          expect(await violations(page), name).toEqual([]);
        }
        expect(problems).toEqual([]);
      },
      small,
    );
  }, 60_000);

  test('what others wrote is text, wherever it is shown', async () => {
    gateway.made.names = HOSTILE;
    await on(
      'overview',
      async (page, problems) => {
        for (const name of NAMES) {
          await open(page, name);
          await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true");
          expect(await page.locator('iframe, img, main script, svg[onload], main style').count(), name).toBe(0);
          expect(await overflow(page), name).toBeLessThanOrEqual(0);
        }
        await open(page, 'decisions');
        await page.locator('tbody button').first().click();
        await page.locator('dialog .answer-model').waitFor();
        expect(await page.locator('dialog .answer-model').textContent()).toBe(`evil/${PAYLOADS[1]}`);
        expect(await page.locator('dialog script, dialog img, dialog iframe').count()).toBe(0);
        await page.keyboard.press('Escape');
        await open(page, 'keys');
        await page
          .getByRole('button', { name: /^Revoke/ })
          .first()
          .click();
        expect(await page.locator('dialog h2').textContent()).toContain('checkout-web?');
        const hacked = await page.evaluate('window.hacked');
        expect(hacked).toBeUndefined();
        expect(problems).toEqual([]);
      },
      { viewport: NARROW },
    );
  }, 60_000);

  test('hostile errors are text, too, and can be tried again', async () => {
    gateway.made.names = { ...HOSTILE, text: (plain) => `${PAYLOADS[0]} ${plain}` };
    gateway.made.fails = /usage\/summary/;
    await on('overview', async (page) => {
      const alert = page.locator('[role=alert]').first();
      expect(await alert.textContent()).toContain(`${PAYLOADS[0]} the database is away`);
      expect(await alert.textContent()).toContain('DATABASE_UNAVAILABLE');
      expect(await page.locator('main img').count()).toBe(0);
      gateway.made.fails = undefined;
      await alert.getByRole('button', { name: 'Try again' }).click();
      await page.locator('dl.figures').waitFor();
      expect(await page.locator('[role=alert]').count()).toBe(0);
    });
  });

  test('a policy keeps foreign code out, should any ever get in', async () => {
    await on('overview', async (page) => {
      const refused = await page.evaluate(`new Promise((resolve) => {
        addEventListener('securitypolicyviolation', (event) => resolve(event.violatedDirective), { once: true });
        const script = document.createElement('script');
        script.textContent = 'window.hacked = 8';
        document.body.append(script);
      })`);
      expect(refused).toMatch(/^script-src/);
      expect(await page.evaluate('window.hacked')).toBeUndefined();
    });
  });

  test('key figures are those of the API, with their intervals', async () => {
    await on('overview', async (page) => {
      const period = (await page.evaluate(
        "performance.getEntriesByType('resource').find(({ name }) => name.includes('/v1/usage/summary')).name",
      )) as string;
      const told = (await (await fetch(period)).json()) as {
        savingUsd: number;
        savingLowUsd: number;
        requests: number;
      };
      const saved = page.locator('.figure', { hasText: 'Saved' });
      expect(await saved.locator('.figure-value').textContent()).toBe(`$${told.savingUsd.toFixed(2)}`);
      expect(await saved.textContent()).toContain(`95 %: $${told.savingLowUsd.toFixed(2)} to $`);
      // The table says what the chart shows.
      await page.getByText('Table of \u201cRequests by model\u201d').click();
      const table = page.getByRole('table', { name: 'Requests by model' });
      expect(await table.locator('tbody tr').count()).toBe(7);
      expect(await table.locator('th').count()).toBe(7);
    });
  });

  /** A busy machine takes its time. */
  const PATIENT = { timeout: 15_000 };

  test('the period and the team are part of the address, and of what is asked', async () => {
    await on('overview', async (page) => {
      const asked: string[] = [];
      page.on('request', (request) => asked.push(decodeURIComponent(request.url())));
      await page.getByRole('button', { name: '24 h' }).click();
      await expect.poll(() => page.url(), PATIENT).toContain('range=24h');
      await expect.poll(() => asked.some((url) => url.includes('step=hour')), PATIENT).toBe(true);
      await page.getByLabel('Team').selectOption('search');
      await expect.poll(() => page.url(), PATIENT).toContain('team=search');
      const ofTeam = () => asked.some((url) => url.includes('/v1/usage/summary') && url.includes('team=search'));
      await expect.poll(ofTeam, PATIENT).toBe(true);
      await settled(page);
      await page.getByRole('link', { name: 'Quality', exact: true }).click();
      await expect.poll(() => page.url(), PATIENT).toMatch(/#\/quality\?.*range=24h.*team=search/);
      await page.goBack();
      await until(page, `document.querySelector('h1')?.textContent === 'Overview'`);
    });
  });

  test('a decision says what it beat and by how much, and closes with Escape', async () => {
    await on('decisions', async (page) => {
      const opener = page.locator('tbody button').nth(1);
      await opener.focus();
      await page.keyboard.press('Enter');
      const dialog = page.getByRole('dialog', { name: 'Decision' });
      const ranked = dialog.getByRole('table', { name: /Candidates/ }).locator('tbody tr');
      await ranked.first().waitFor();
      expect(await ranked.first().textContent()).toContain('openai/gpt-5-mini');
      // 0.882 − 0.913, and 2 ** 1.7 times 0.00041 USD.
      expect(await ranked.nth(1).textContent()).toContain('88.2 %\u22123.1 points$0.001333.2 \u00d7no');
      const answer = await dialog.getByRole('region', { name: 'What was chosen' }).textContent();
      expect(answer).toContain('Predicted quality 91.3 %; 88.4 % was enough.');
      // The fourth alone is good enough, too: 4 ** 1.7 = 10.6 times as dear.
      expect(answer).toContain(
        'The next cheapest that is good enough, groq/llama-3.3-70b-versatile, costs 11 \u00d7 as much.',
      );
      expect(answer).toContain('None was predicted to be better.');
      // 0.0061 − 0.00044 of 0.0061.
      expect(answer).toContain('$0.0057 (93 %)');
      const text = await dialog.textContent();
      for (const part of ['It calls no tools.', 'UPSTREAM_TIMEOUT', 'masked', 'helpful', '95.2 %']) {
        expect(text).toContain(part);
      }
      expect(await violations(page)).toEqual([]);
      // The focus stays inside.
      for (let i = 0; i < 12; i++) await page.keyboard.press('Tab');
      const held = await page.evaluate(
        "document.activeElement === document.body || document.activeElement.closest('dialog') !== null",
      );
      expect(held).toBe(true);
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
      expect(await page.evaluate('document.activeElement.className')).toBe('link');
      await open(page, 'decisions/no-such');
      expect(await page.getByRole('dialog').getByRole('alert').textContent()).toContain('no decision of that id');
    });
  });

  test('what is only passed on says what it is of, and a decision that is damaged on record says so', async () => {
    await on('decisions', async (page) => {
      const batch = page.locator('tbody tr').nth(10);
      expect(await batch.textContent()).toContain('openaia batch there');
      expect(await batch.textContent()).not.toMatch(/as asked for|named by the client/);
      await batch.locator('button').click();
      const answer = page.getByRole('dialog').getByRole('region', { name: 'What was chosen' });
      await answer.waitFor();
      expect(await answer.textContent()).toContain('A batch at the provider');
      await page.keyboard.press('Escape');
      await page.locator('tbody tr').nth(11).locator('button').click();
      await page.getByRole('dialog').getByText(DAMAGE).waitFor();
      expect(await answer.textContent()).toContain('cannot be read any more');
      expect(await violations(page)).toEqual([]);
    });
  });

  test('decisions can be looked through by status and by page', async () => {
    await on('decisions', async (page) => {
      expect(await page.locator('tbody tr').count()).toBe(12);
      await page.getByRole('button', { name: 'Older ones' }).click();
      await until(page, `document.querySelectorAll('tbody tr').length === 24`);
      await page.getByLabel('Status').selectOption('error');
      await page.getByRole('button', { name: 'Filter' }).click();
      await until(page, `document.querySelectorAll('tbody tr').length === 2`);
      expect(await page.locator('.more').textContent()).toContain('2 shown of 24 looked through');
      expect(await page.locator('tbody .pill').allTextContents()).toEqual(['error', 'error']);
    });
  });

  test('the slider tells what another setting would have cost', async () => {
    await on('trade-off', async (page) => {
      const slider = page.getByRole('slider');
      await slider.focus();
      for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowLeft');
      expect(await slider.inputValue()).toBe('3');
      // 0.00032 + 0.0068 · 0.3 ** 2.2 = 0.000801; at 5 it is 0.00180.
      expect(await slider.getAttribute('aria-valuetext')).toContain('Dial 3: $0.00080 a request');
      const table = page.getByRole('table', { name: /What is in force/ });
      expect(await table.textContent()).toContain('\u221255.5 %');
      expect(await page.locator('.copyable').first().textContent()).toContain('policy: {dial: 3}');
    });
  });

  test('a rollback is asked for twice, and done once', async () => {
    await on('learning', async (page) => {
      await page.getByRole('button', { name: 'Roll back' }).click();
      const dialog = page.getByRole('dialog', { name: 'Roll back?' });
      expect(await violations(page)).toEqual([]);
      await dialog.getByRole('button', { name: 'Cancel' }).click();
      expect(gateway.changes).toEqual([]);
      await page.getByRole('button', { name: 'Roll back' }).click();
      await dialog.getByRole('button', { name: 'Roll back' }).click();
      await dialog.waitFor({ state: 'detached' });
      expect(gateway.changes).toEqual(['POST /v1/learning/rollback {}']);
    });
  });

  test('a key is made, shown once, rotated and revoked', async () => {
    await on('keys', async (page) => {
      await page.getByRole('button', { name: 'New key' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Name').fill('web');
      await dialog.getByLabel('Team').fill('search');
      await dialog.getByLabel('Models').fill('openai/*, groq/*');
      await dialog.getByRole('button', { name: 'Make it' }).click();
      await page.getByText('pm-shown-once-0123456789').waitFor();
      await page.getByRole('button', { name: 'I have it' }).click();
      expect(await page.content()).not.toContain('pm-shown-once');
      await page.getByRole('button', { name: 'Rotate checkout-web' }).click();
      await dialog.getByLabel('Hours').fill('2');
      await dialog.getByRole('button', { name: 'Make a new key' }).click();
      await page.getByRole('button', { name: 'I have it' }).click();
      await page.getByRole('button', { name: 'Revoke search-batch' }).click();
      await dialog.getByRole('button', { name: 'Revoke' }).click();
      await dialog.waitFor({ state: 'detached' });
      expect(gateway.changes).toEqual([
        'POST /v1/admin/keys {"name":"web","role":"member","team":"search","models":["openai/*","groq/*"]}',
        'POST /v1/admin/keys/k0/rotate {"overlapMinutes":120}',
        'DELETE /v1/admin/keys/k1 null',
      ]);
    });
  });

  test('the first key of an open gateway is an admin\u2019s, and whoever made it goes on with it', async () => {
    gateway.made.isOpen = true;
    gateway.made.isEmpty = true;
    await on('keys', async (page, problems) => {
      expect(await page.locator('.notice').textContent()).toContain('Nobody is asked for a key');
      await page.getByRole('button', { name: 'New key' }).click();
      const dialog = page.getByRole('dialog');
      expect(await dialog.getByLabel('Role').locator('option').allTextContents()).toEqual([
        'admin: everything, of all teams',
      ]);
      await dialog.getByRole('button', { name: 'Make it' }).click();
      // Everybody is asked for a key by now; the page must not turn away before it was copied.
      await page.getByText('pm-shown-once-0123456789').waitFor();
      await until(page, `document.querySelector('dialog[open]') !== null`);
      await page.getByRole('button', { name: 'I have it' }).click();
      await page.getByRole('button', { name: 'Sign out' }).waitFor();
      expect(await page.locator('.notice').count()).toBe(0);
      expect(gateway.changes).toEqual([
        'POST /v1/admin/keys {"name":"me","role":"admin"}',
        'POST /auth/key {"key":"pm-shown-once-0123456789"}',
      ]);
      expect(problems).toEqual([]);
    });
  });

  test('a key among many is found by name, team or prefix, and no more are shown than help', async () => {
    gateway.made.moreKeys = 250;
    await on('keys', async (page) => {
      expect(await page.locator('tbody tr').count()).toBe(200);
      expect(await page.locator('main').textContent()).toContain('The first 200 of 254');
      await page.getByLabel('Find').fill('CLIENT-24');
      await until(page, `document.querySelectorAll('tbody tr').length === 11`);
      await page.getByLabel('Find').fill('nobody is called so');
      await page.getByText('No key like that.').waitFor();
    });
  });

  test('on a phone the rows of tables are cards, of which nothing is cut off', async () => {
    await on(
      'overview',
      async (page) => {
        for (const name of ['overview', 'health', 'quality', 'decisions', 'keys', 'budgets', 'audit']) {
          await open(page, name);
          const wide = await page.evaluate(
            "[...document.querySelectorAll('table.cards')].map((table) => table.parentElement).filter((wrap) => wrap.scrollWidth > wrap.clientWidth).length",
          );
          expect(wide, name).toBe(0);
        }
        // What a table is, it stays for who hears it.
        await open(page, 'decisions');
        const row = page
          .getByRole('table', { name: /Decisions/ })
          .getByRole('row')
          .nth(1);
        expect(await row.getByRole('cell').count()).toBe(8);
        const label = "getComputedStyle(document.querySelector('tbody tr').cells[5], '::before').content";
        expect(await page.evaluate(label)).toBe('"Cost"');
      },
      { viewport: { width: 390, height: 844 } },
    );
  }, 60_000);

  test('a verdict says in a sentence what came of it', async () => {
    await on('learning', async (page) => {
      const rows = page.locator('ol.rows > li');
      const text = async (i: number) => (await rows.nth(i).textContent())!.replaceAll(/\s+/g, ' ');
      expect(await text(0)).toContain('Decides 10 % of the requests, to be compared with');
      expect(await text(1)).toMatch(/Refused.*The router in force stays\. *quality may fall by 0\.012/);
      expect(await text(1)).toContain('cannot tell: 4 checks of latency');
      expect(await text(2)).toContain('The router in force stays until more answers are judged.');
      expect(await text(2)).not.toContain('insufficient evidence');
      expect(await text(3)).toMatch(/Promoted.*Decides from then on, in place of/);
      expect(await text(4)).toMatch(/decides again, in place of/);
      expect(await text(5)).toContain('in place of the base router');
    });
  });

  test('a budget says what happens near its end, and at it', async () => {
    await on('budgets', async (page) => {
      const use = (name: string) => page.locator('.use', { hasText: name });
      expect(await use('checkout').textContent()).toContain('auto chooses cheaper');
      expect(await use('support').textContent()).toContain('refuses');
      expect(await use('search').first().locator('.pill').count()).toBe(0);
      // 24 and 224 of 800: 3 and 28 %.
      const nightly = use('nightly');
      expect(await nightly.textContent()).toContain('$24.00 of $800.00 3 % + $224.00 set aside (28 %)');
      expect(await nightly.textContent()).toContain('$552.00 left');
      expect(await nightly.locator('.pill').count()).toBe(0);
      expect(await nightly.locator('.meter').getAttribute('aria-label')).toBe(
        '$24.00 of $800.00 used, $224.00 set aside',
      );
      const widthOf = (part: string) => nightly.locator(part).getAttribute('style');
      expect(await widthOf('.meter-fill')).toBe('width: 3%;');
      expect(await widthOf('.meter-held')).toBe('left: 3%; width: 28%;');
    });
  });

  test('a budget is made and changed; one of the configuration is not', async () => {
    await on('budgets', async (page) => {
      await page.getByRole('button', { name: 'New budget' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Name').fill('search a day');
      await dialog.getByLabel('USD').fill('12.5');
      await dialog.getByLabel('Each').selectOption('day');
      await dialog.getByLabel('Team').fill('search');
      await dialog.getByRole('button', { name: 'Make it' }).click();
      await dialog.waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Change notebooks' }).click();
      await dialog.getByLabel('USD').fill('30');
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.waitFor({ state: 'detached' });
      expect(gateway.changes).toEqual([
        'POST /v1/admin/limits {"kind":"budget","name":"search a day","team":"search","usd":12.5,"period":"day","softShare":0.8,"notifyAt":[50,80,100]}',
        'PATCH /v1/admin/limits/l3 {"name":"notebooks","usd":30,"period":"day","softShare":0.9,"notifyAt":[100]}',
      ]);
      expect(await page.getByRole('button', { name: 'Change everything' }).count()).toBe(0);
      expect(await page.locator('.meter').first().getAttribute('aria-label')).toBe('$2,214 of $5,000 used');
    });
  });

  test('what the gateway refuses is said where it was asked for', async () => {
    await on('keys', async (page) => {
      await page.getByRole('button', { name: 'New key' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Name').fill('web');
      gateway.made.fails = /admin\/keys/;
      await dialog.getByRole('button', { name: 'Make it' }).click();
      expect(await dialog.getByRole('alert').textContent()).toContain('the database is away');
      gateway.made.fails = undefined;
      await dialog.getByRole('button', { name: 'Make it' }).click();
      await page.getByText('pm-shown-once-0123456789').waitFor();
    });
  });

  test('who may only look is shown what there is to look at', async () => {
    gateway.made.scopes = ['usage'];
    await on('overview', async (page) => {
      const links = await page.locator('nav a').allTextContents();
      expect(links).toEqual([
        'Overview',
        'Models & health',
        'Quality',
        'Decisions',
        'Cost and quality',
        'Observe mode',
      ]);
      expect(await page.getByLabel('Team').count()).toBe(0);
      await open(page, 'keys');
      expect(await page.locator('main').textContent()).toContain('needs the scope manage or admin');
    });
    gateway.made.scopes = ['call'];
    await on('', async (page) => {
      expect(await page.locator('main').textContent()).toContain('it needs the scope \u201cusage\u201d');
    });
  });

  test('people sign in with a key, and out again', async () => {
    gateway.made.scopes = null;
    await on('quality', async (page) => {
      expect(await page.locator('h1').textContent()).toBe('Sign in');
      expect(await page.getByRole('link', { name: /Sign in with/ }).getAttribute('href')).toBe('/auth/login');
      expect(await violations(page)).toEqual([]);
      await page.getByLabel('Key').fill('pm-wrong');
      await page.getByRole('button', { name: 'Sign in' }).click();
      expect(await page.getByRole('alert').textContent()).toContain('this API key is not known here');
      await page.getByLabel('Key').fill('pm-right');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await until(page, `document.querySelector('h1')?.textContent === 'Quality'`);
      const stored = await page.evaluate('JSON.stringify({ ...localStorage, ...sessionStorage })');
      expect(stored).not.toContain('pm-right');
      await page.getByRole('button', { name: 'Sign out' }).click();
      await until(page, `document.querySelector('h1')?.textContent === 'Sign in'`);
    });
  });

  test('a session that has ended asks to sign in again', async () => {
    await on('overview', async (page) => {
      gateway.made.scopes = null;
      await page.getByRole('link', { name: 'Decisions' }).click();
      await until(page, `document.querySelector('h1')?.textContent === 'Sign in'`);
    });
  });

  test('where nothing has happened yet, it is said what to do', async () => {
    gateway.made.isEmpty = true;
    await on('overview', async (page, problems) => {
      expect(await page.locator('.copyable code').textContent()).toContain(`curl ${gateway.url}/v1/chat/completions`);
      for (const name of NAMES) {
        await open(page, name);
        expect(await page.locator('.empty, .steps').count(), name).toBeGreaterThan(name === 'budgets' ? 1 : 0);
        expect(await page.locator('[role=alert]').count(), name).toBe(0);
      }
      await open(page, 'overview');
      expect(await page.locator('.step h3').allTextContents()).toEqual([
        'Send a request',
        'Make keys',
        'Bound what is spent',
      ]);
      expect(await page.locator('.copyable code').textContent()).toContain('authorization: Bearer');
      // Where nobody is asked for a key, the line has none.
      gateway.made.isOpen = true;
      await page.reload();
      await page.getByText('Open to anybody').waitFor();
      expect(await page.locator('.copyable code').textContent()).not.toContain('authorization');
      expect(problems).toEqual([]);
    });
  }, 30_000);

  test('a gateway that is away is said to be, and what was seen stays', async () => {
    await on(
      'overview',
      async (page) => {
        await page.context().setOffline(true);
        await page.getByRole('button', { name: 'Provider' }).click();
        const alert = page.locator('[role=alert]').first();
        await alert.waitFor();
        expect(await alert.textContent()).toContain('The gateway cannot be reached.');
        expect(await page.locator('dl.figures').count()).toBe(1);
        await page.context().setOffline(false);
        await page.getByRole('button', { name: 'Try again' }).first().click();
        await until(page, `!document.body.textContent.includes('What is shown is what it said last')`);
      },
      {},
    );
  });

  test('the keyboard skips to the content, and follows a link to its heading', async () => {
    await on('overview', async (page) => {
      await page.keyboard.press('Tab');
      expect(await page.evaluate('document.activeElement?.textContent')).toBe('Skip to the content');
      await page.keyboard.press('Enter');
      expect(await page.evaluate('document.activeElement?.tagName')).toBe('H1');
      await page.getByRole('link', { name: 'Keys' }).focus();
      await page.keyboard.press('Enter');
      await until(
        page,
        `document.activeElement?.outerHTML.startsWith('<h1') && document.activeElement.textContent === 'Keys'`,
      );
    });
  });

  test('the theme that was chosen is there before the page is, next time too', async () => {
    await on('overview', async (page) => {
      const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
      const light = await background();
      await page.getByRole('button', { name: 'Dark' }).click();
      const dark = await background();
      expect(dark).not.toBe(light);
      await page.reload({ waitUntil: 'domcontentloaded' });
      expect(await background()).toBe(dark);
      await page.waitForSelector('h1');
      await page.getByRole('button', { name: 'Auto' }).click();
      expect(await background()).toBe(light);
    });
  });

  test('nothing moves for those who want it so', async () => {
    await on(
      'overview',
      async (page) => {
        const moving = await page.evaluate(`[...document.querySelectorAll('*')].filter((element) => {
          const { animationName, transitionDuration } = getComputedStyle(element);
          return animationName !== 'none' || !/^0s(, 0s)*$/.test(transitionDuration);
        }).length`);
        expect(moving).toBe(0);
      },
      { reducedMotion: 'reduce' },
    );
  });

  test('once it is loaded, it asks nobody but the gateway', async () => {
    const page = await browser.newPage({ viewport: WIDE });
    const asked = new Set<string>();
    page.on('request', (request) => asked.add(new URL(request.url()).origin));
    await open(page, 'overview');
    for (const name of NAMES) await open(page, name);
    expect([...asked]).toEqual([gateway.url]);
    await page.close();
  });
});
