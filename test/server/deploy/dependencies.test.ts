/** What is installed is exactly what was tried, under licences that may be passed on. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
// @ts-expect-error a plain script
import { licences, page } from '../../../server/deploy/licences.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string) => readFileSync(`${root}/${path}`, 'utf8');
const lock = JSON.parse(read('package-lock.json'));

/** May be used and passed on with a notice. */
const FREE = new Set(['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0', 'CC0-1.0']);

interface Row {
  readonly name: string;
  readonly licence: string;
}
const rows = licences(lock) as Row[];

test('every dependency is named with its exact version', () => {
  const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    expect(version, name).toMatch(/^(npm:[@\w/-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/);
  }
});

test('every package that runs has a licence that may be passed on', () => {
  const refused = rows.filter(({ name, licence }) => {
    // A choice is ours; of what holds together each must do.
    const isFree = licence
      .replace(/[()]/g, '')
      .split(' AND ')
      .every((part) => part.split(' OR ').some((one) => FREE.has(one)));
    return !isFree && !name.startsWith('@img/sharp-');
  });
  expect(refused).toEqual([]);
  expect(rows.length).toBeGreaterThan(100);
});

test('the list of licences is that of the lock file', () => {
  expect(read('server/deploy/LICENCES.md')).toBe(page(rows));
});

test('every package that runs comes with the hash of its content', () => {
  const bare = Object.entries(lock.packages as Record<string, { integrity?: string; link?: boolean; dev?: boolean }>)
    .filter(([path, { integrity, link, dev }]) => path !== '' && !dev && !link && integrity === undefined)
    .map(([path]) => path);
  expect(bare).toEqual([]);
});
