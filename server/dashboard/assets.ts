/** The files of the page: a fixed list, read once, under names that change with their content. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

/** Our own, beside this file. */
export const OWN_FILES = [
  'app.js',
  'theme.js',
  'icon.svg',
  'parts/api.js',
  'parts/charts.js',
  'parts/dialog.js',
  'parts/format.js',
  'parts/place.js',
  'parts/session.js',
  'parts/time-chart.js',
  'parts/view.js',
  'sections/audit.js',
  'sections/budgets.js',
  'sections/decision.js',
  'sections/decisions.js',
  'sections/first-steps.js',
  'sections/health.js',
  'sections/keys.js',
  'sections/learning.js',
  'sections/observe.js',
  'sections/overview.js',
  'sections/quality.js',
  'sections/sign-in.js',
  'sections/trade-off.js',
  'styles/base.css',
  'styles/figures.css',
  'styles/layout.css',
  'styles/parts.css',
] as const;

const HERE = fileURLToPath(new URL('.', import.meta.url));

const TYPES = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml; charset=utf-8',
} as const;

export interface Asset {
  readonly type: string;
  readonly content: Buffer;
  readonly gzipped: Buffer;
}

export interface Page {
  readonly html: Asset;
  /** Of {@link Page.html}, in quotes, as the header has it. */
  readonly etag: string;
  /** By URL, `/dashboard/HASH/NAME`: they may be kept for ever. */
  readonly assets: ReadonlyMap<string, Asset>;
}

/** @param prefix where the page is, `/dashboard`. @throws where a file of the page is missing */
export function readPage(prefix: string): Page {
  const texts = new Map<string, string>([
    ...OWN_FILES.map((name): [string, string] => [name, readFileSync(join(HERE, name), 'utf8')]),
    ...libraries(),
  ]);
  const version = hash([...texts].map(([name, text]) => `${name}\n${hash(text)}`).join('\n'));
  const assets = new Map(
    [...texts].map(([name, text]) => {
      const type = TYPES[name.slice(name.lastIndexOf('.') + 1) as keyof typeof TYPES];
      return [`${prefix}/${version}/${name}`, assetOf(type, text)];
    }),
  );
  const html = readFileSync(join(HERE, 'index.html'), 'utf8').replaceAll('{base}', `${prefix}/${version}`);
  return { html: assetOf('text/html; charset=utf-8', html), etag: `"${hash(html)}"`, assets };
}

function assetOf(type: string, text: string): Asset {
  const content = Buffer.from(text);
  return { type, content, gzipped: gzipSync(content, { level: 9 }) };
}

/** What the page stands on, as its packages have it, but for the names that browsers cannot resolve. */
function libraries(): [string, string][] {
  const { resolve } = createRequire(import.meta.url);
  const at = (main: string, file: string) => readFileSync(join(dirname(resolve(main)), file), 'utf8');
  const withoutMap = (text: string) => text.replace(/\n?\/\/# sourceMappingURL=\S+\s*$/, '\n');
  const hooks = at('preact/hooks', 'hooks.mjs');
  return [
    ['vendor/preact.js', withoutMap(at('preact', 'preact.mjs'))],
    ['vendor/hooks.js', withoutMap(replaced(hooks, 'from"preact"', 'from"./preact.js"'))],
    ['vendor/htm.js', withoutMap(at('htm', 'htm.mjs'))],
    // The smallest build is a script that leaves a variable: one line makes it a module.
    ['vendor/uplot.js', `${withoutMap(at('uplot', 'uPlot.iife.min.js'))}\nexport default uPlot;\n`],
    ['vendor/uplot.css', at('uplot', 'uPlot.min.css')],
  ];
}

function replaced(text: string, what: string, by: string): string {
  if (!text.includes(what)) throw new Error(`preact/hooks imports preact by another name than ${what}`);
  return text.replaceAll(what, by);
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
