// Lists the licences of everything that is installed to run the gateway: `node server/deploy/licences.mjs` writes LICENCES.md.
import { readFileSync, writeFileSync } from 'node:fs';

const file = (name) => new URL(name, import.meta.url);

/** Every package that runs, as the lock file has it: name, version and licence, once each. */
export function licences(lock) {
  const rows = Object.entries(lock.packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional)
    .map(([path, { version, license }]) => ({
      name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version,
      licence: license ?? 'unknown',
    }));
  const unique = new Map(rows.map((row) => [`${row.name}@${row.version}`, row]));
  return [...unique.values()].sort((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1));
}

export function page(rows) {
  const counts = new Map();
  for (const { licence } of rows) counts.set(licence, (counts.get(licence) ?? 0) + 1);
  const sums = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return [
    '# Licences of what runs',
    '',
    'Written by `node server/deploy/licences.mjs` from `package-lock.json`; a test keeps it true. Optional packages of other',
    'platforms are among them. The libraries of `@img/sharp-libvips-…` (LGPL) are loaded at run time and can be replaced; nothing',
    'here calls them: they come with `@xenova/transformers`, for images.',
    '',
    ...sums.map(([licence, n]) => `- ${licence}: ${n}`),
    '',
    '| package | version | licence |',
    '|---|---|---|',
    ...rows.map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`),
    '',
  ].join('\n');
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const lock = JSON.parse(readFileSync(file('../../package-lock.json'), 'utf8'));
  writeFileSync(file('LICENCES.md'), page(licences(lock)));
}
