/** The command that learns word vectors: its file serves `train`, and what is wrong is said before the work begins. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readWordVectors } from '../../../router/training/word-vectors-file.ts';
import { generatedTexts, temporaryFolder } from '../../router/fixtures.ts';
import { programFile } from '../../run/shared.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const PROGRAM = await programFile();

function vectors(...args: string[]) {
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, 'vectors', ...args], {
    encoding: 'utf8',
    cwd: root,
  });
  return { status, stderr };
}

const text = (dir: string): string => {
  const path = join(dir, 'texts.jsonl');
  writeFileSync(
    path,
    generatedTexts(200, 4)
      .map((t) => `${JSON.stringify(t)}\n`)
      .join(''),
  );
  return path;
};

test('learns vectors that can be read, the same bytes each time, and says how many', () => {
  const dir = temporaryFolder();
  const [a, b] = ['a.bin', 'b.bin'].map((name) => join(dir, name));
  const { status, stderr } = vectors('--text', text(dir), '--out', a!, '--dimension', '4', '--min-count', '5');
  expect(status).toBe(0);
  const made = readWordVectors(a!);
  expect(made.dimension).toBe(4);
  expect(made.hashes.length).toBeGreaterThan(20);
  expect(stderr).toContain(`${made.hashes.length} words written`);
  vectors('--text', text(dir), '--out', b!, '--dimension', '4', '--min-count', '5');
  expect(Buffer.compare(readFileSync(a!), readFileSync(b!))).toBe(0);
});

test('leaves out texts that begin like a prompt kept for a test', () => {
  const dir = temporaryFolder();
  // Whatever the role of each group, some of these are no training prompts: their words become rarer.
  const prompts = generatedTexts(200, 4).map((t, i) => ({ id: `p${i}`, source: 's', benchmark: 'b', text: t }));
  writeFileSync(join(dir, 'prompts.jsonl'), prompts.map((p) => `${JSON.stringify(p)}\n`).join(''));
  writeFileSync(join(dir, 'outcomes.jsonl'), `${JSON.stringify({ promptId: 'p0', modelId: 'a/b', quality: 1 })}\n`);
  const args = ['--text', text(dir), '--dimension', '2', '--min-count', '1'];
  vectors(...args, '--out', join(dir, 'all.bin'));
  const { status } = vectors(...args, '--without', dir, '--out', join(dir, 'held.bin'));
  expect(status).toBe(0);
  const words = (name: string): number => readWordVectors(join(dir, name)).hashes.length;
  expect(words('held.bin')).toBeLessThanOrEqual(words('all.bin'));
  expect(readFileSync(join(dir, 'held.bin')).equals(readFileSync(join(dir, 'all.bin')))).toBe(false);
});

test.each([
  ['a file that is missing', ['--text', 'nowhere.txt', '--out', 'x.bin'], 'nowhere.txt: no such file'],
  ['a file of another kind', ['--text', 'package.json', '--out', 'x.bin'], 'package.json: not a .jsonl'],
  ['a folder to write to', ['--text', 'README.md', '--out', 'test'], 'test: is a folder'],
  ['no text at all', ['--out', 'x.bin'], "required option '--text"],
  ['a dimension that is no number', ['--text', 'a.txt', '--out', 'x.bin', '--dimension', 'many'], 'from 1 to 1024'],
])('refuses %s before any work', (_, args, message) => {
  const { status, stderr } = vectors(...args);
  expect(status).toBe(2);
  expect(stderr).toContain(message);
});
