/** The HTML report in a real browser: both widths, dark, by hand and without script. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../eval/evaluate.ts';
import { htmlReport } from '../../eval/report/html.ts';
import { chromiumPath, openBrowser } from '../browser.ts';
import { fakeSource, loading, truth, world } from './fixtures.ts';

let browser: Browser | null = null;
let folder: string;
let address: string;

beforeAll(async () => {
  const source = fakeSource({ asItIs: (p, m) => 0.35 + 0.3 * truth(p, m) });
  const e = await evaluate(world({ prompts: 500, holes: 0.1 }), {
    load: loading(source),
    replicates: 50,
    routers: ['default', 'default+fit', 'cascade', 'length-only'],
  });
  folder = mkdtempSync(join(tmpdir(), 'pointsman-page-'));
  const path = join(folder, 'report.html');
  writeFileSync(path, htmlReport(e));
  address = `file://${path}`;
  browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens the report; anything it asks the network for, or complains of, is collected. */
async function open(options: BrowserContextOptions): Promise<{ page: Page; trouble: string[] }> {
  const page = await browser!.newPage(options);
  const trouble: string[] = [];
  page.on('request', (request) => {
    if (request.url() !== address) trouble.push(`asked for ${request.url()}`);
  });
  page.on('pageerror', (error) => trouble.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') trouble.push(message.text());
  });
  await page.goto(address);
  return { page, trouble };
}

/** Relative luminance of `rgb(r, g, b)`, in [0, 1], as WCAG defines it. */
function luminanceOf(color: string): number {
  const [r, g, b] = color.match(/\d+/g)!.map((v) => {
    const c = Number(v) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

describe.skipIf(chromiumPath() === undefined)('the report in a browser', () => {
  test.each([
    { width: 1100, shown: '.wide', hidden: '.narrow' },
    { width: 360, shown: '.narrow', hidden: '.wide' },
  ])(
    'at $width pixels nothing sticks out, and the picture for that width is shown',
    async ({ width, shown, hidden }) => {
      const { page, trouble } = await open({ viewport: { width, height: 800 } });
      await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true");
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      expect(await page.locator(shown).first().isVisible()).toBe(true);
      expect(await page.locator(hidden).first().isVisible()).toBe(false);
      expect(trouble).toEqual([]);
      await page.close();
    },
  );

  test('hovering over a point shows the setting behind it, and Escape hides it', async () => {
    const { page, trouble } = await open({ viewport: { width: 1100, height: 900 } });
    const mark = page.locator('.wide .hit').nth(30);
    await mark.scrollIntoViewIfNeeded();
    const box = (await mark.boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    const tip = page.locator('.tip');
    expect(await tip.textContent()).toMatch(/quality \d+\.\d %.* per 1 000 prompts/);
    await page.keyboard.press('Escape');
    expect(await tip.isHidden()).toBe(true);
    expect(trouble).toEqual([]);
    await page.close();
  });

  test('is dark where the reader wants it dark, with text that can be read', async () => {
    const luminance = async (colorScheme: 'light' | 'dark') => {
      const { page } = await open({ colorScheme, viewport: { width: 900, height: 800 } });
      const colors = (await page.evaluate(
        '[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]',
      )) as [string, string];
      const [ink, paper] = colors.map(luminanceOf) as [number, number];
      await page.close();
      return { paper, contrast: (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05) };
    };
    const [light, dark] = [await luminance('light'), await luminance('dark')];
    expect(light.paper).toBeGreaterThan(0.8);
    expect(dark.paper).toBeLessThan(0.05);
    // WCAG AA asks for 4.5.
    expect(Math.min(light.contrast, dark.contrast)).toBeGreaterThan(7);
  });

  test('says the same without script: every mark keeps its title', async () => {
    const { page } = await open({ javaScriptEnabled: false, viewport: { width: 1100, height: 800 } });
    const marks = await page.locator('.wide .hit').count();
    expect(marks).toBeGreaterThan(50);
    expect(await page.locator('.wide .hit > title').count()).toBe(marks);
    await page.close();
  });
});
