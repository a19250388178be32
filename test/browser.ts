/** Chromium for tests that look at a page; null where there is none, with the reason printed once. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export const chromiumPath = (): string | undefined => PLACES.find((path) => path !== undefined && existsSync(path));

export async function openBrowser(): Promise<Browser | null> {
  const executablePath = chromiumPath();
  if (executablePath === undefined) {
    console.info('no Chromium here (CHROMIUM or /usr/bin/chromium): pages are not looked at');
    return null;
  }
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}
