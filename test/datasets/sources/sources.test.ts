/** What every source promises: its files become a folder that reads as any other, whole or not at all. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { evaluationOnly, readDataset, readFetchedSource, refuseForTraining } from '../../../datasets/index.ts';
import { datasetFolder, resolveDataset, SOURCES, sourceNamed } from '../../../datasets/sources/index.ts';
import { letterOf } from '../../../datasets/sources/mmlu-pro.ts';
import { modelIdOf } from '../../../datasets/sources/model-id.ts';
import type { Source } from '../../../datasets/sources/source.ts';
import { writeFolder } from '../../../datasets/sources/write-folder.ts';
import { answerOf } from '../../../datasets/sources/zeroeval.ts';
import { failureOf, folderOf, temporaryFolder } from '../fixtures.ts';
import { UPSTREAM } from './upstream.ts';

const SUM = 'ab'.repeat(32);

/** The files on disk, as a fetch hands them over. */
function filesOf(source: Source, contents: Record<string, string | Uint8Array>) {
  const dir = folderOf(contents);
  return Object.keys(contents).map((name) => ({
    name,
    path: join(dir, name),
    url: source.files.find((file) => file.name === name)?.url ?? source.homepage,
    bytes: Buffer.from(contents[name]!).length,
    sha256: SUM,
  }));
}

const write = (source: Source, dir: string, contents: Record<string, string | Uint8Array>) =>
  writeFolder(source, dir, { files: filesOf(source, contents), fetchedAt: new Date('2026-11-23T00:00:00Z') });

describe.each(SOURCES.map((source) => [source.name, source] as const))('%s', (name, source) => {
  const upstream = UPSTREAM[name]!;

  test('names files, licence and citation, and no sum that nobody verified', () => {
    expect(source.licence).not.toBe('');
    expect(source.citation).not.toBe('');
    expect(source.homepage).toMatch(/^https:/);
    expect(source.revision === null || /^[0-9a-f]{40}$/.test(source.revision)).toBe(true);
    expect(source.files.length > 0).toBe(source.byHand === undefined);
    expect(new Set(source.files.map((file) => file.name)).size).toBe(source.files.length);
    for (const file of source.files) {
      expect(file.url).toMatch(/^https:\/\//);
      expect(file.name).toMatch(/^[\w.-]+$/);
      expect(file.sha256).toBeNull();
    }
    if (source.byHand === undefined)
      expect(source.files.map((file) => file.name).sort()).toEqual(Object.keys(upstream.files).sort());
  });

  test('becomes the outcomes that its files say', async () => {
    const dir = join(temporaryFolder(), name);
    const written = await write(source, dir, upstream.files);
    const dataset = await readDataset(dir);
    expect(dataset.outcomes.map((o) => o)).toEqual(
      upstream.outcomes.map(([promptId, modelId, quality, more = {}]) => ({ promptId, modelId, quality, ...more })),
    );
    for (const prompt of upstream.prompts) {
      expect(dataset.prompts.find(({ id }) => id === prompt.id)).toMatchObject({ source: name, ...prompt });
    }
    const asked = new Set(upstream.outcomes.map(([promptId]) => promptId));
    expect(new Set(dataset.prompts.map((prompt) => prompt.id))).toEqual(asked);
    expect(Object.keys(dataset.models).sort()).toEqual([...new Set(upstream.outcomes.map(([, id]) => id))].sort());
    expect(Object.fromEntries(written.leftOut.map(({ why, rows }) => [why, rows]))).toEqual(upstream.leftOut ?? {});
    expect(written).toMatchObject({ prompts: asked.size, outcomes: upstream.outcomes.length });
  });

  test('says beside the rows where they are from', async () => {
    const dir = join(temporaryFolder(), name);
    await write(source, dir, upstream.files);
    const about = readFetchedSource(dir)!;
    expect(about).toMatchObject({ name, licence: source.licence, citation: source.citation });
    expect(about.files).toHaveLength(Object.keys(upstream.files).length);
    const page = readFileSync(join(dir, 'SOURCE.md'), 'utf8');
    for (const text of [source.licence, source.citation, SUM]) expect(page).toContain(text);
    expect(await evaluationOnly(dir)).toBe(source.evaluationOnly !== null);
    if (source.evaluationOnly === null) expect(() => refuseForTraining(dir)).not.toThrow();
    else expect(await failureOf(async () => refuseForTraining(dir))).toMatchObject({ code: 'EVALUATION_ONLY' });
    expect(readdirSync(join(dir, '..'))).toEqual([name]);
  });

  test('leaves nothing behind when a file is cut short', async () => {
    const parent = temporaryFolder();
    const cut = Object.fromEntries(
      Object.entries(upstream.files).map(([file, content]) => {
        const bytes = Buffer.from(content);
        return [file, bytes.subarray(0, Math.max(1, bytes.length - 40))];
      }),
    );
    const failure = await failureOf(() => write(source, join(parent, name), cut));
    expect(['TRUNCATED_FILE', 'MALFORMED_JSON', 'INVALID_ROW']).toContain(failure.code);
    expect(failure.message).toMatch(/\.(csv|jsonl?|parquet|zip|tar\.gz)/);
    expect(readdirSync(parent)).toEqual([]);
  });
});

test('only RouterArena is for evaluation alone, and the refusal names its rule', async () => {
  expect(SOURCES.filter((source) => source.evaluationOnly !== null).map((source) => source.name)).toEqual([
    'routerarena',
  ]);
  const dir = join(temporaryFolder(), 'routerarena');
  await write(sourceNamed('routerarena'), dir, UPSTREAM.routerarena!.files);
  expect((await failureOf(async () => refuseForTraining(dir))).message).toMatch(/trained, fitted or tuned/);
  // The archive says which commit it is, where the source pins none.
  expect(readFetchedSource(dir)!.revision).toBe('4714a9a0000000000000000000000000000000ab');
});

test('an archive of another commit than the pinned one is refused', async () => {
  const { tarGz } = await import('../formats/archives.ts');
  const file = 'RouteLLM-0b64fdafe049.tar.gz';
  const other = tarGz({ 'RouteLLM-1/routellm/evals/x': '' }, { comment: 'f'.repeat(40) });
  const failure = await failureOf(() =>
    write(sourceNamed('routellm'), join(temporaryFolder(), 'x'), { [file]: other }),
  );
  expect(failure).toMatchObject({ code: 'WRONG_CHECKSUM' });
});

test('wrong columns, rows and numbers are refused with file, row and field', async () => {
  const cases: [string, string, string, RegExp][] = [
    ['embedllm', 'train.csv', 'prompt,label\nx,1\n', /train\.csv: has no column prompt_id, model_name/],
    ['embedllm', 'train.csv', 'prompt_id,prompt,model_name,label\n1,x,m,2\n', /train\.csv: row 1: field label/],
    [
      'livecodebench',
      'performances_2025-01-15.json',
      '{"models": [], "performances": [{"question_id": "1"}]}',
      /row 1: field model/,
    ],
    [
      'mmlu-pro',
      'gpt4o_biology_result.json',
      '[{"question_id": 1, "question": "x", "options": []}]',
      /gpt4o_biology_result\.json: row 1: field options/,
    ],
    [
      'routerbench',
      'routerbench_0shot.jsonl',
      '{"sample_id": 1, "prompt": "x", "eval_name": "y"}\n',
      /no column <model>\|total_cost/,
    ],
  ];
  for (const [name, file, content, message] of cases) {
    const files = name === 'routerbench' ? { [file]: content } : { ...UPSTREAM[name]!.files, [file]: content };
    const failure = await failureOf(() => write(sourceNamed(name), join(temporaryFolder(), name), files));
    expect(failure.code).toBe('INVALID_ROW');
    expect(failure.message).toMatch(message);
  }
});

test('files without a single outcome are refused', async () => {
  const files = { 'train.csv': '', 'val.csv': '', 'test.csv': '' };
  for (const file of Object.keys(files) as (keyof typeof files)[]) files[file] = 'prompt_id,prompt,model_name,label\n';
  const failure = await failureOf(() => write(sourceNamed('embedllm'), join(temporaryFolder(), 'x'), files));
  expect(failure).toMatchObject({ code: 'EMPTY_TABLE' });
});

test('a folder that holds something else is not written over, an earlier fetch is', async () => {
  const source = sourceNamed('embedllm');
  const dir = folderOf({ 'notes.txt': 'mine' });
  const failure = await failureOf(() => write(source, dir, UPSTREAM.embedllm!.files));
  expect(failure).toMatchObject({ code: 'INVALID_CONFIG' });
  expect(readFileSync(join(dir, 'notes.txt'), 'utf8')).toBe('mine');
  const again = join(temporaryFolder(), 'x');
  await write(source, again, UPSTREAM.embedllm!.files);
  writeFileSync(join(again, 'left-over.txt'), '');
  await write(source, again, UPSTREAM.embedllm!.files);
  expect(existsSync(join(again, 'left-over.txt'))).toBe(false);
});

test('an interrupted write leaves the earlier fetch as it was', async () => {
  const source = sourceNamed('embedllm');
  const parent = temporaryFolder();
  const dir = join(parent, 'embedllm');
  await write(source, dir, UPSTREAM.embedllm!.files);
  const before = readFileSync(join(dir, 'source.json'), 'utf8');
  const stop = AbortSignal.abort(new Error('stopped'));
  await expect(
    writeFolder(source, dir, { files: filesOf(source, UPSTREAM.embedllm!.files), fetchedAt: new Date(), signal: stop }),
  ).rejects.toThrow('stopped');
  expect(readFileSync(join(dir, 'source.json'), 'utf8')).toBe(before);
  expect(readdirSync(parent)).toEqual(['embedllm']);
});

test('prompts that are nearly the same share a group', async () => {
  const long = 'A train leaves the station at noon and travels north at sixty kilometres an hour for two hours';
  const row = (id: string, text: string) => `${id},"${text}",m,1\n`;
  const header = 'prompt_id,prompt,model_name,label\n';
  const files = {
    'train.csv': header + row('1', `${long}.`) + row('2', 'Something else entirely, about cooking rice without a pot'),
    'val.csv': header,
    'test.csv': header + row('3', `${long}!`),
  };
  const dir = join(temporaryFolder(), 'embedllm');
  await write(sourceNamed('embedllm'), dir, files);
  const groups = Object.fromEntries((await readDataset(dir)).prompts.map(({ id, groupId }) => [id, groupId]));
  expect(groups).toEqual({ 'embedllm/1': 'embedllm/1', 'embedllm/2': 'embedllm/2', 'embedllm/3': 'embedllm/1' });
});

test('a name becomes the folder that it was fetched to; a folder of that name comes first', async () => {
  const cache = temporaryFolder();
  const failure = await failureOf(async () => resolveDataset('sprout', cache));
  expect(failure.code).toBe('MISSING_FILE');
  expect(failure.message).toContain('pointsman datasets fetch sprout');
  mkdirSync(datasetFolder('sprout', cache), { recursive: true });
  expect(resolveDataset('sprout', cache)).toBe(datasetFolder('sprout', cache));
  expect(resolveDataset(cache, cache)).toBe(cache);
  expect(resolveDataset('no/such/folder', cache)).toBe('no/such/folder');
  expect((await failureOf(async () => sourceNamed('mmlu'))).message).toContain('mmlu-pro');
});

test('a damaged source.json is an error, not a licence to train', async () => {
  expect(await failureOf(async () => refuseForTraining(folderOf({ 'source.json': '{' })))).toMatchObject({
    code: 'MALFORMED_JSON',
  });
  expect(await failureOf(async () => refuseForTraining(folderOf({ 'source.json': '{}' })))).toMatchObject({
    code: 'INVALID_ROW',
  });
  expect(readFetchedSource(folderOf({}))).toBeNull();
});

test.each([
  ['Meta-Llama-3-8B-Instruct', 'meta-llama/llama-3-8b-instruct'],
  ['deepseek-ai/DeepSeek-V3', 'deepseek/deepseek-v3'],
  ['gpt-5-chat', 'openai/gpt-5-chat'],
  ['Intern-S1-mini', 'internlm/intern-s1-mini'],
  ['meta/llama-2-70b-chat', 'meta-llama/llama-2-70b-chat'],
  ['Some Model', 'some-model'],
])('%s is %s', (name, id) => {
  expect(modelIdOf(name)).toBe(id);
});

test.each([
  ['The answer is (C). Not answer is (D)', 'C'],
  ['Answer: A\nanswer:   B', 'A'],
  ['Between B and C, I take C; A1 is no option', 'C'],
  // Up to ten options: the rule takes the word for the letter.
  ['I do not know', 'I'],
  ['no idea', undefined],
])('the letter of %j is %s', (output, letter) => {
  expect(letterOf(output)).toBe(letter);
});

test.each([
  ['{"reasoning": "a {b} c",\n"answer": 42} {"answer": 1}', 'x', 42],
  ['{not json} {"answer": "7"}', 'x', '7'],
  ['so answer: 12, as shown', 'x', '12'],
  ['thus $\\boxed{36}$', 'Meta-Llama-3.1-8B-Instruct', '36'],
  ['thus $\\boxed{36}$', 'gemma-2-2b-it', undefined],
])('the answer in %j of %s is %j', (output, model, answer) => {
  expect(answerOf(output, model)).toEqual(answer);
});
