/** Imports point one way, `datasets ← router ← eval ← server`, and never in a circle: read from the files. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const LAYERS = ['datasets', 'router', 'eval', 'server'];
/** The parts of the server that may replay and judge: the loop that learns, reports, the commands, the demo. */
const MAY_USE_EVAL = ['server/learning/', 'server/report/', 'server/cli/', 'server/demo/'];

interface Import {
  /** Path of the importing file from the root, with forward slashes. */
  readonly from: string;
  readonly specifier: string;
  /** Path of the imported file from the root; null for a package. */
  readonly to: string | null;
  /** True for `import type`: gone when the program runs. */
  readonly typeOnly: boolean;
  /** True for `import()`, which runs later, when both files are loaded. */
  readonly dynamic: boolean;
}

const STATIC = /^\s*(?:import|export)\s+(type\s+)?(?:[\w*{][^'";]*?\s+from\s+)?['"]([^'"]+)['"]/gm;
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

function importsOf(from: string, text: string): Import[] {
  const resolve = (specifier: string) =>
    specifier.startsWith('.') ? join(dirname(from), specifier).split(sep).join('/') : null;
  return [
    ...[...text.matchAll(STATIC)].map(([, type, specifier]) => ({
      from,
      specifier: specifier!,
      to: resolve(specifier!),
      typeOnly: type !== undefined,
      dynamic: false,
    })),
    ...[...text.matchAll(DYNAMIC)].map(([, specifier]) => ({
      from,
      specifier: specifier!,
      to: resolve(specifier!),
      typeOnly: false,
      dynamic: true,
    })),
  ];
}

const files = LAYERS.flatMap((layer) =>
  readdirSync(join(root, layer), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `${layer}/${path.split(sep).join('/')}`),
);
const imports = files.flatMap((path) => importsOf(path, readFileSync(join(root, path), 'utf8')));
const layerOf = (path: string) => LAYERS.indexOf(path.slice(0, path.indexOf('/')));

test('finds the files and imports that it judges', () => {
  expect(
    importsOf('router/a/b.ts', "import type { X } from '../c.ts';\nimport 'node:fs';\nexport * from './d.ts';"),
  ).toEqual([
    { from: 'router/a/b.ts', specifier: '../c.ts', to: 'router/c.ts', typeOnly: true, dynamic: false },
    { from: 'router/a/b.ts', specifier: 'node:fs', to: null, typeOnly: false, dynamic: false },
    { from: 'router/a/b.ts', specifier: './d.ts', to: 'router/a/d.ts', typeOnly: false, dynamic: false },
  ]);
  expect(
    importsOf('a/b.ts', "import {\n  one,\n  two,\n} from './c.ts';\nawait import('./d.ts');").map((i) => i.to),
  ).toEqual(['a/c.ts', 'a/d.ts']);
  expect(files).toContain('datasets/index.ts');
  expect(imports.some((i) => i.from.startsWith('server/') && i.to?.startsWith('datasets/'))).toBe(true);
});

test('imports point to the same layer or one below', () => {
  const wrong = imports.filter(({ from, to }) => to !== null && layerOf(to) > layerOf(from));
  expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
});

test('every import of ours stays inside the layers and names a file that is there', () => {
  const present = new Set(files);
  const wrong = imports.filter(({ to }) => to?.endsWith('.ts') && !present.has(to));
  expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
});

test('the server replays and judges only where it learns, in its commands and in the demo', () => {
  const wrong = imports.filter(
    ({ from, to }) =>
      from.startsWith('server/') && to?.startsWith('eval/') && !MAY_USE_EVAL.some((folder) => from.startsWith(folder)),
  );
  expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
});

test('datasets and router use no network and no database', () => {
  const reachesOut = /^(node:(net|http|https|http2|dgram|dns|tls)|undici|pg|fastify|drizzle-orm|@electric-sql\/)/;
  const wrong = imports.filter(
    ({ from, specifier }) => /^(datasets|router)\//.test(from) && reachesOut.test(specifier),
  );
  expect(wrong.map(({ from, specifier }) => `${from} → ${specifier}`)).toEqual([]);
});

test('no file imports itself through others', () => {
  const graph = new Map<string, string[]>();
  for (const { from, to, typeOnly, dynamic } of imports) {
    if (to === null || typeOnly || dynamic) continue;
    graph.set(from, [...(graph.get(from) ?? []), to]);
  }
  expect(cyclesOf(graph)).toEqual([]);
  const circle = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['a']],
  ]);
  expect(cyclesOf(circle)).toEqual(['a → b → c → a']);
});

/** Each circle once, as a path that ends where it began. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const path: string[] = [];
  const visit = (node: string) => {
    const at = path.indexOf(node);
    if (at >= 0) {
      found.push([...path.slice(at), node].join(' → '));
      return;
    }
    if (done.has(node)) return;
    path.push(node);
    for (const next of graph.get(node) ?? []) visit(next);
    path.pop();
    done.add(node);
  };
  for (const node of [...graph.keys()].sort()) visit(node);
  return found;
}
