/** `pointsman leaderboard` as a person meets it: what it writes, what it keeps, how it fails. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LeaderBoard } from '../../eval/leaderboard/rank.ts';
import { programFile } from '../run/shared.ts';
import { difficultyOf, world } from './fixtures.ts';

const root = join(import.meta.dirname, '../..');
const PROGRAM = await programFile();
let dir: string;
const sources = ['one', 'two'];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'pointsman-leaderboard-'));
  sources.forEach((name, k) => {
    const { prompts, outcomes, models } = world({ prompts: 240, seed: k + 1 });
    mkdirSync(join(dir, name));
    const lines = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join('\n');
    writeFileSync(
      join(dir, name, 'prompts.jsonl'),
      lines(prompts.map((p, i) => ({ ...p, id: `${name}${i}`, embedding: [difficultyOf(p), i % 7] }))),
    );
    writeFileSync(
      join(dir, name, 'outcomes.jsonl'),
      lines(outcomes.map((o) => ({ ...o, promptId: o.promptId.replace('p', name) }))),
    );
    writeFileSync(join(dir, name, 'models.json'), JSON.stringify(models));
  });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function pointsman(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'leaderboard', ...args], {
    encoding: 'utf8',
    cwd: root,
    timeout: 110_000,
  });
  return { status, stdout, stderr };
}
const data = () => ['--data', ...sources.map((name) => join(dir, name))];

test('writes page, JSON and text, and a second run reads what the first one measured in its threads', () => {
  const out = join(dir, 'out');
  const args = [...data(), '--out', out, '--quick', '--only', 'in-domain', '--method', 'mean-quality', '--splits', '1'];
  const first = pointsman(...args, '--labels', '100', '--jobs', '2');
  expect(first.stderr).toContain('two, split 1 of 1: item-response on 100 training prompts × 3 models');
  expect(first.status).toBe(0);
  const board = JSON.parse(readFileSync(join(out, 'leaderboard.json'), 'utf8')) as LeaderBoard;
  expect(board.boards.map(({ source, splits }) => [source, splits])).toEqual([
    ['one', 1],
    ['two', 1],
  ]);
  expect(board.ranks.map(({ name }) => name).sort()).toEqual(['item-response', 'mean-quality']);
  expect(readFileSync(join(out, 'leaderboard.txt'), 'utf8')).toBe(first.stdout);
  expect(readFileSync(join(out, 'leaderboard.html'), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);

  const second = pointsman(...args, '--labels', '100', '--jobs', '1');
  expect(second.stderr).not.toContain('training prompts');
  expect(second.stdout).toBe(first.stdout);
});

test('names what it does not know and what there is instead', () => {
  const unknownMethod = pointsman(...data(), '--method', 'nonesuch');
  expect(unknownMethod.status).toBe(2);
  expect(unknownMethod.stderr).toContain('the methods are mean-quality, ');
  const unknownSource = pointsman(...data(), '--source', 'three', '--out', join(dir, 'no'));
  expect(unknownSource.status).toBe(2);
  expect(unknownSource.stderr).toContain('--source three: not among the folders given (one, two)');
  const noFolder = pointsman('--data', join(dir, 'nowhere'), '--out', join(dir, 'no'));
  expect(noFolder.status).toBe(2);
  expect(noFolder.stderr).toContain('no such folder');
});
