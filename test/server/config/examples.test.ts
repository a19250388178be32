import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { KNOWN_PROVIDERS, PROVIDER_TYPES, parseConfig, readConfig } from '../../../server/config/index.ts';
import { configJsonSchema } from '../../../server/config/json-schema.ts';
import { KINDS, providersFrom } from '../../../server/providers/index.ts';

const folder = new URL('../../../server/examples/', import.meta.url);
const names = readdirSync(folder);
const text = (name: string) => readFileSync(new URL(name, folder), 'utf8');
/** Examples of the clouds go by their short names. */
const FILES: Readonly<Record<string, string>> = { 'amazon-bedrock': 'bedrock', 'google-vertex': 'vertex' };

/** Lines that begin with # and no space are options; with one space, words. */
const uncommented = (yaml: string) => yaml.replace(/^( *)#(?!$| (?! ))/gm, '$1');

test('the names that need no entry are those of the providers that there are', () => {
  expect([...KNOWN_PROVIDERS].sort()).toEqual([...KINDS.keys()].sort());
  for (const type of PROVIDER_TYPES) {
    const providers = {
      x: { type, baseUrl: 'http://127.0.0.1:9', project: 'p', resource: 'r', region: 'r', enabled: true },
    };
    expect(() => providersFrom({ ...readConfig({ file: false }), providers }, {})).not.toThrow();
  }
});

test('there is an example for every provider but LM Studio, which is one of any host', () => {
  const wanted = [...KNOWN_PROVIDERS].filter((name) => name !== 'lmstudio').map((name) => FILES[name] ?? name);
  expect(names.toSorted()).toEqual([...wanted, 'openai-compatible', 'pointsman'].map((name) => `${name}.yaml`).sort());
});

describe.each(names)('%s', (name) => {
  test('begins with a schema that is there', () => {
    const [, path] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(text(name)) ?? [];
    expect(existsSync(new URL(path!, folder))).toBe(true);
  });

  test('is read as it is, and switches its provider on once its variables are set', () => {
    const config = readConfig({ file: fileURLToPath(new URL(name, folder)), env: {} });
    const env = Object.fromEntries(
      [...text(name).matchAll(/\b[A-Z][A-Z0-9_]*_KEY\w*/g)].map(([variable]) => [variable, 'k']),
    );
    const { on } = providersFrom(config, env);
    for (const provider of Object.keys(config.providers)) expect([...on.keys()]).toContain(provider);
  });

  test('is read with everything in it switched on', () => {
    const whole = uncommented(text(name));
    expect(whole).not.toMatch(/^ *#\S/m);
    const env = Object.fromEntries([...whole.matchAll(/\$\{(\w+)\}/g)].map(([, variable]) => [variable, 'k']));
    const config = parseConfig(whole, name, { env });
    expect(Object.keys(config.providers).length).toBeGreaterThan(0);
  });
});

test('the example of everything names every option', () => {
  const whole = uncommented(text('pointsman.yaml'));
  const { properties } = JSON.parse(configJsonSchema());
  for (const [option, { properties: inner }] of Object.entries<{ properties?: object }>(properties)) {
    expect(whole).toMatch(new RegExp(`^${option}:`, 'm'));
    if (option === 'policy') continue;
    for (const name of Object.keys(inner ?? {})) expect(whole).toMatch(new RegExp(`^ +${name}:`, 'm'));
  }
});
