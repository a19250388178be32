/** Small dataset folders written to a temporary place, removed after each test. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import { type Prompt, RoutingError } from '../../datasets/index.ts';

const made: string[] = [];

afterEach(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true });
});

export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'pointsman-datasets-'));
  made.push(dir);
  return dir;
}

/** A folder with these files; arrays become JSONL. */
export function folderOf(files: Record<string, unknown[] | string | Uint8Array>): string {
  const dir = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    const bytes = Array.isArray(content) ? jsonl(content) : content;
    writeFileSync(join(dir, name), bytes);
  }
  return dir;
}

export const jsonl = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

export const promptOf = (id: string, more: Partial<Prompt> = {}): Prompt => ({
  id,
  source: 'local',
  benchmark: 'default',
  text: `question ${id}`,
  groupId: id,
  ...more,
});

/** The RoutingError that this throws. */
export async function failureOf(work: () => Promise<unknown>): Promise<RoutingError> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(RoutingError);
    return error as RoutingError;
  }
  throw new Error('expected a RoutingError, nothing was thrown');
}
