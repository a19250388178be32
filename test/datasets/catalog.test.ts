import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { providerOf, readCatalog, upstreamModelOf } from '../../datasets/index.ts';
import { failureOf, folderOf } from './fixtures.ts';

const entry = { id: 'openai/gpt-x', inputUsdPerMTok: 1, outputUsdPerMTok: 2, contextTokens: 1000 };
const write = (text: string, name = 'catalog.json') => join(folderOf({ [name]: text }), name);
const catalogOf = (...models: object[]) => write(JSON.stringify({ priceDate: '2026-11-22', models }));

test('ships dated candidates of many providers, each with its source', async () => {
  const { models, priceDate } = await readCatalog();
  expect(priceDate).toMatch(/^20\d\d-\d\d-\d\d$/);
  for (const model of models) {
    expect(model.source, model.id).toBeTruthy();
    expect(model.outputUsdPerMTok, model.id).toBeGreaterThan(0);
  }
  expect(new Set(models.map((m) => providerOf(m.id))).size).toBeGreaterThanOrEqual(10);
});

test('gives a provider of several models several prices, so that one key has a choice', async () => {
  const { models } = await readCatalog();
  for (const provider of new Set(models.map((m) => providerOf(m.id)))) {
    const own = models.filter((m) => providerOf(m.id) === provider);
    if (own.length === 1) continue;
    expect(new Set(own.map((m) => m.outputUsdPerMTok)).size, provider).toBeGreaterThan(1);
  }
});

const heads = new URL('../../router/models/default/heads.json', import.meta.url);

test('names no candidate that the shipped artifact has neither a row of its own nor a stand-in for', async () => {
  const known = new Set<string>();
  collectStrings(JSON.parse(readFileSync(heads, 'utf8')), known);
  const { models } = await readCatalog();
  expect(
    models.filter((m) => !known.has(m.id) && !known.has(m.like ?? '')).map((m) => `${m.id} like ${m.like}`),
  ).toEqual([]);
});

/** Every string and key of the file: model ids stand in it, wherever its format puts them. */
function collectStrings(value: unknown, into: Set<string>): void {
  if (typeof value === 'string') into.add(value);
  else if (Array.isArray(value)) for (const item of value) collectStrings(item, into);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      into.add(key);
      collectStrings(item, into);
    }
  }
}

test('reads JSON and YAML to the same catalog, and fills in what an entry may leave out', async () => {
  const json = await readCatalog(catalogOf(entry));
  const yaml = await readCatalog(
    write(
      'priceDate: 2026-11-22\nmodels:\n  - id: openai/gpt-x\n    inputUsdPerMTok: 1\n    outputUsdPerMTok: 2\n    contextTokens: 1000\n',
      'catalog.yaml',
    ),
  );
  expect(yaml).toEqual(json);
  expect(json.models[0]).toMatchObject({ inputModalities: ['text'], tools: true, reasoning: false });
});

test('splits a model id at the first slash', () => {
  expect(providerOf('openrouter/openai/gpt-x')).toBe('openrouter');
  expect(upstreamModelOf('openrouter/openai/gpt-x')).toBe('openai/gpt-x');
});

test.each([
  ['a negative price', { ...entry, inputUsdPerMTok: -1 }, 'models[1] (openai/gpt-x), field inputUsdPerMTok'],
  ['a missing context size', { ...entry, contextTokens: undefined }, 'models[1] (openai/gpt-x), field contextTokens'],
  ['an id without provider', { ...entry, id: 'gpt-x' }, 'models[1] (gpt-x), field id: must be provider/model'],
  ['a misspelt field', { ...entry, contextToken: 5 }, 'models[1] (openai/gpt-x)'],
  ['an impossible date', { ...entry, priceDate: '2026-02-30' }, 'models[1] (openai/gpt-x), field priceDate'],
  ['a modality that is none', { ...entry, inputModalities: ['smell'] }, 'field inputModalities.0'],
])('refuses %s and names the entry', async (_, wrong, place) => {
  const error = await failureOf(() => readCatalog(catalogOf({ ...entry, id: 'openai/other' }, wrong)));
  expect(error.code).toBe('INVALID_CONFIG');
  expect(error.message).toContain(place);
});

test('refuses a model listed twice, an empty list, and what is no catalog at all', async () => {
  expect((await failureOf(() => readCatalog(catalogOf(entry, entry)))).code).toBe('DUPLICATE_ROW');
  expect((await failureOf(() => readCatalog(catalogOf()))).message).toContain('field models');
  expect((await failureOf(() => readCatalog(write('[]')))).message).toContain('field (file)');
  expect((await failureOf(() => readCatalog(write('{')))).code).toBe('MALFORMED_JSON');
  expect((await failureOf(() => readCatalog(write('a: [', 'c.yml')))).code).toBe('MALFORMED_JSON');
  expect((await failureOf(() => readCatalog('no/such/catalog.json'))).code).toBe('MISSING_FILE');
});
