import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { programFile } from '../../run/shared.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const PROGRAM = await programFile();
const folder = mkdtempSync(join(tmpdir(), 'pointsman-config-command-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `pointsman config …` in an empty folder, with no environment but what is given. */
function config(args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'config', ...args], {
    encoding: 'utf8',
    cwd: folder,
    env: { PATH: process.env.PATH!, HOME: folder, ...env },
  });
  return { status, stdout, stderr };
}

describe('check', () => {
  const file = join(folder, 'good.yaml');
  writeFileSync(
    file,
    `providers:
  openai: {apiKeyEnv: MY_KEY}
  groq: {enabled: false}
  mine: {baseUrl: http://127.0.0.1:9/v1, apiKey: sk-planted-provider}
models:
  openai/gpt-6-luna: [{provider: openai, weight: 3}, {provider: mine, model: luna}, {provider: groq}]
aliases: {gpt-4o: openai/gpt-6-luna}
fallbacks: {gpt-4o: [mine/other]}
keys:
  - {name: search-team, key: sk-planted-client-0123, models: [auto], tags: [search]}
databaseUrl: postgres://u:planted-password@h/d
`,
  );

  test('says what the configuration would do, without a secret', () => {
    const { status, stdout, stderr } = config(['check', file], { MY_KEY: 'sk-planted-environment' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).not.toContain('planted');
    for (const text of [
      `configuration: ${file}`,
      'listens on 127.0.0.1:8787',
      'database: PostgreSQL',
      '  openai  https://api.openai.com/v1',
      '  mine  http://127.0.0.1:9/v1',
      'providers off, though named:\n  groq  enabled: false in the configuration',
      // Shares are of those that can be called: 3 of 4, 1 of 4.
      '  openai/gpt-6-luna\n    openai  75 %\n    mine as luna  25 %\n    groq  off',
      '  gpt-4o → openai/gpt-6-luna, else mine/other',
      '  search-team  tenant default; auto; tags search',
    ]) {
      expect(stdout).toContain(text);
    }
  });

  test('ends with 2 and the lines where something is wrong', () => {
    const bad = join(folder, 'bad.yaml');
    writeFileSync(bad, 'port: 1\nprot: 2\nkeys: [{name: a}]');
    const { status, stdout, stderr } = config(['check', bad]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toBe(`error INVALID_CONFIG: ${bad}:2:1: prot: no such option; did you mean port?\n`);
    expect(config(['check', join(folder, 'none.yaml')])).toMatchObject({ status: 2 });
  });

  test('does without a file, and says so', () => {
    const { status, stdout } = config(['check']);
    expect(status).toBe(0);
    expect(stdout).toContain('no pointsman.yaml here');
    expect(stdout).toContain('providers on: none: a sandbox answers');
    expect(stdout).toMatch(/keys: none here: unless the database has some .*, everybody who reaches it may call/);
  });
});

test('example prints one that check takes, for everything and for each provider', () => {
  for (const args of [[], ['azure'], ['bedrock'], ['amazon-bedrock']]) {
    const { status, stdout } = config(['example', ...args]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^# yaml-language-server: \$schema=pointsman\.schema\.json\n/);
    writeFileSync(join(folder, 'printed.yaml'), stdout);
    expect(config(['check', join(folder, 'printed.yaml')])).toMatchObject({ status: 0, stderr: '' });
  }
  const { status, stderr } = config(['example', 'antropic']);
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: 'error INVALID_CONFIG: no example for antropic: did you mean anthropic?\n',
  });
});

test('schema prints the published one', () => {
  expect(config(['schema']).stdout).toBe(readFileSync(join(root, 'server/config/pointsman.schema.json'), 'utf8'));
});
