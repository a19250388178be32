// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders are what is tested
import { readdirSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../../server/config/index.ts';
import { configJsonSchema } from '../../../server/config/json-schema.ts';

const published = readFileSync(new URL('../../../server/config/pointsman.schema.json', import.meta.url), 'utf8');
const schema = JSON.parse(published);
const validate = new Ajv({ strict: false, formats: { uri: true } }).compile(schema);

test('the published schema is the one the code makes; pointsman config schema prints it', () => {
  expect(schema).toEqual(JSON.parse(configJsonSchema()));
});

test('says something about every option, but for the router’s knobs', () => {
  const silent: string[] = [];
  const look = (node: Record<string, unknown>, path: string) => {
    for (const [name, option] of Object.entries((node.properties ?? {}) as Record<string, Record<string, unknown>>)) {
      if (!path.startsWith('policy') && option.description === undefined) silent.push(`${path}${name}`);
      look(option, `${path}${name}.`);
    }
    for (const inner of [node.items, node.additionalProperties]) {
      if (typeof inner === 'object' && inner !== null) look(inner as Record<string, unknown>, path);
    }
  };
  look(schema, '');
  // These, too, are the router's.
  expect(silent.filter((name) => !/^keys\.routing\./.test(name))).toEqual([]);
});

describe('an editor underlines what the gateway refuses', () => {
  test.each([
    'prot: 1',
    'port: -1',
    'providers: {openai: {weight: 1}}',
    'providers: {My_vllm: {}}',
    'timeouts: {idleMs: 0}',
    'logLevel: loud',
    'databaseUrl: mysql://h/d',
    'keys: [{name: a, key: short}]',
    'models: {gpt: [{provider: openai}]}',
    'models: {openai/gpt: []}',
    'retry: {retries: 1.5}',
  ])('%s', (text) => {
    expect(() => parseConfig(text, 'f', {})).toThrow();
    expect(validate(parse(text))).toBe(false);
  });
});

describe('an editor takes what the gateway takes', () => {
  test.each([
    'databaseUrl: ${DATABASE_URL:-}',
    'port: ${PORT:-8787}',
    'keys: [{name: a, key: "${KEY:-0123456789abcdef}"}]',
    'allowPublic: ${P:-no}',
    'logLevel: ${L:-info}',
    'providers: {openai: , groq: {enabled: off}}',
    'policy:\ntimeouts:\nkeys:\nport:',
    'retry: {hedgeAfterMs: null}',
    'maxAttempts: ${N:-8}',
    'timeouts: {idleMs: "${IDLE:-500}"}',
    'providers: {openai: {proxy: false}}',
  ])('%s', (text) => {
    expect(() => parseConfig(text, 'f', {})).not.toThrow();
    expect(validate(parse(text)), JSON.stringify(validate.errors)).toBe(true);
  });

  const folder = new URL('../../../server/examples/', import.meta.url);
  test.each(readdirSync(folder))('the example %s', (name) => {
    expect(validate(parse(readFileSync(new URL(name, folder), 'utf8'))), JSON.stringify(validate.errors)).toBe(true);
  });
});
