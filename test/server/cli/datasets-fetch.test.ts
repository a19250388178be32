import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDataset } from '../../../datasets/index.ts';
import { downloadFolder, SOURCES, sourceNamed } from '../../../datasets/sources/index.ts';
import { anchorsCommand } from '../../../server/cli/anchors.ts';
import { datasetsCommand } from '../../../server/cli/datasets.ts';
import { evalCommand } from '../../../server/cli/eval.ts';
import { leaderboardCommand } from '../../../server/cli/leaderboard.ts';
import { onboardCommand } from '../../../server/cli/onboard.ts';
import { replayCommand } from '../../../server/cli/replay.ts';
import { trainCommand } from '../../../server/cli/train.ts';
import { type FetchOptions, fetchDataset } from '../../../server/dataset-fetch.ts';
import { failureOf, folderOf, temporaryFolder } from '../../datasets/fixtures.ts';
import { UPSTREAM } from '../../datasets/sources/upstream.ts';
import { cutAfter, type FlakyServer, flakyServer, status } from '../flaky-server.ts';

const limits = { retryDelayMs: 1, attempts: 3 };
const ORIGINS = ['https://huggingface.co', 'https://raw.githubusercontent.com', 'https://codeload.github.com'];

/** A server with the source's files at their places, and an environment that leads to it. */
async function hosted(name: string, replaced: Record<string, string | Uint8Array> = {}) {
  const contents: Record<string, string | Uint8Array> = { ...UPSTREAM[name]!.files, ...replaced };
  const files = sourceNamed(name).files.map((file) => [
    decodeURIComponent(new URL(file.url).pathname),
    contents[file.name]!,
  ]);
  const server = await flakyServer(Object.fromEntries(files));
  return { server, env: { POINTSMAN_MIRROR: ORIGINS.map((origin) => `${origin}=${server.url}`).join(',') } };
}

/** Of llmrouterbench the length is known, which no small file has. */
const sourceOf = (name: string) => {
  const source = sourceNamed(name);
  return { ...source, files: source.files.map((file) => ({ ...file, bytes: null })) };
};
const fetchIt = (name: string, options: FetchOptions) => fetchDataset(sourceOf(name), { limits, ...options });

describe.each(SOURCES.filter((source) => source.byHand === undefined).map(({ name }) => name))('%s', (name) => {
  test('is fetched over a bad line, reads as a dataset, and is found again', async () => {
    const { server, env } = await hosted(name);
    server.tricks.push(cutAfter(10), status(503, { 'retry-after': '0' }));
    const cache = temporaryFolder();
    const steps: string[] = [];
    const first = await fetchIt(name, { env, cache, onProgress: (step) => steps.push(step) });
    expect(first.dir).toBe(join(cache, 'datasets', name));
    const dataset = await readDataset(first.dir);
    expect(new Set(dataset.prompts.map(({ id }) => id)).size).toBe(dataset.prompts.length);
    expect(dataset.outcomes.map((o) => [o.promptId, o.modelId, o.quality])).toEqual(
      UPSTREAM[name]!.outcomes.map(([promptId, modelId, quality]) => [promptId, modelId, quality]),
    );
    expect(first.recorded).toHaveLength(sourceNamed(name).files.length);
    expect(steps.some((step) => step.startsWith('downloading'))).toBe(true);
    // Now it is here: nothing is asked for, and with --force the downloads are still there and still the same.
    const asked = server.asked.length;
    expect((await fetchIt(name, { env, cache })).written).toBeNull();
    const again = await fetchIt(name, { env, cache, force: true });
    expect(again.written).toEqual(first.written);
    expect(again.recorded).toEqual([]);
    expect(again.source.files).toEqual(first.source.files);
    expect(server.asked).toHaveLength(asked);
  });
});

const offline = { POINTSMAN_MIRROR: ORIGINS.map((origin) => `${origin}=http://127.0.0.1:9`).join(',') };

test('without network the error names the address and the place; a file put there is picked up', async () => {
  const cache = temporaryFolder();
  const failure = await failureOf(() => fetchIt('zeroeval', { env: offline, cache }));
  expect(failure.code).toBe('MISSING_FILE');
  const { url, name } = sourceNamed('zeroeval').files[0]!;
  const place = join(downloadFolder('zeroeval', cache), name);
  expect(failure.message).toContain(`fetch ${url} elsewhere`);
  expect(failure.message).toContain(`put it at ${place}`);
  writeFileSync(place, UPSTREAM.zeroeval!.files[name]!);
  expect((await fetchIt('zeroeval', { env: offline, cache })).written!.outcomes).toBe(6);
});

test('files fetched by hand are taken with --from, and stay where they are', async () => {
  const dir = folderOf(UPSTREAM.embedllm!.files as Record<string, string>);
  const from = ['train.csv', 'val.csv', 'test.csv'].map((name) => join(dir, name));
  const out = join(temporaryFolder(), 'mine');
  const fetched = await fetchIt('embedllm', { env: offline, cache: temporaryFolder(), from, out });
  expect(fetched.written!.outcomes).toBe(4);
  expect(readdirSync(dir).sort()).toEqual(['test.csv', 'train.csv', 'val.csv']);
  const unknown = await failureOf(() =>
    fetchIt('embedllm', {
      env: offline,
      cache: temporaryFolder(),
      from: [join(folderOf({ 'x.csv': 'a\n' }), 'x.csv')],
    }),
  );
  expect(unknown.code).toBe('INVALID_CONFIG');
  expect(unknown.message).toContain('wanted: train.csv, val.csv, test.csv');
  const missing = await failureOf(() => fetchIt('embedllm', { cache: temporaryFolder(), from: ['no/train.csv'] }));
  expect(missing.code).toBe('MISSING_FILE');
});

test('a source of one file takes it under any name', async () => {
  const bytes = UPSTREAM.zeroeval!.files['ZeroEval-8c1485edf12c.tar.gz']!;
  const path = join(folderOf({ 'downloaded (1).tar.gz': bytes }), 'downloaded (1).tar.gz');
  const fetched = await fetchIt('zeroeval', { env: offline, cache: temporaryFolder(), from: [path] });
  expect(fetched.written!.outcomes).toBe(6);
});

test('other bytes than the first fetch recorded are refused with both sums, and kept aside', async () => {
  const { env } = await hosted('embedllm');
  const cache = temporaryFolder();
  const first = await fetchIt('embedllm', { env, cache });
  const known = first.source.files.find(({ url }) => url.endsWith('val.csv'))!.sha256;
  const place = join(downloadFolder('embedllm', cache), 'val.csv');
  renameSync(place, `${place}.old`);
  const changed = await hosted('embedllm', { 'val.csv': 'prompt_id,prompt,model_name,label\n6,another,m,1\n' });
  const failure = await failureOf(() => fetchIt('embedllm', { env: changed.env, cache, force: true }));
  expect(failure.code).toBe('WRONG_CHECKSUM');
  expect(failure.message).toContain(known);
  expect(failure.message.match(/[0-9a-f]{64}/g)).toHaveLength(2);
  expect(existsSync(`${place}.rejected`)).toBe(true);
  expect(existsSync(place)).toBe(false);
  // What was fetched before is as it was, and the next run asks again.
  expect((await readDataset(first.dir)).outcomes.length).toBe(4);
  expect((await fetchIt('embedllm', { env, cache, force: true })).written!.outcomes).toBe(4);
});

test('a damaged record of sums is an error, not a blank sheet', async () => {
  const cache = temporaryFolder();
  const downloads = downloadFolder('embedllm', cache);
  mkdirSync(downloads, { recursive: true });
  writeFileSync(join(downloads, 'lock.json'), '{"train.csv": {}}');
  expect(await failureOf(() => fetchIt('embedllm', { env: offline, cache }))).toMatchObject({ code: 'INVALID_ROW' });
});

test('a known sum and a known length are enforced at the first fetch', async () => {
  const { env } = await hosted('zeroeval');
  const source = sourceOf('zeroeval');
  const withSum = { ...source, files: source.files.map((file) => ({ ...file, sha256: 'a'.repeat(64) })) };
  const sum = await failureOf(() => fetchDataset(withSum, { env, cache: temporaryFolder(), limits }));
  expect(sum).toMatchObject({ code: 'WRONG_CHECKSUM' });
  const withLength = { ...source, files: source.files.map((file) => ({ ...file, bytes: 7 })) };
  const length = await failureOf(() => fetchDataset(withLength, { env, cache: temporaryFolder(), limits }));
  expect(length).toMatchObject({ code: 'TRUNCATED_FILE' });
});

test('a web page in place of a file is refused, whatever its header says', async () => {
  const { env } = await hosted('embedllm', { 'train.csv': '<!doctype html><title>Sign in</title>' });
  const failure = await failureOf(() => fetchIt('embedllm', { env, cache: temporaryFolder() }));
  expect(failure.code).toBe('WRONG_FORMAT');
  expect(failure.message).toMatch(/train\.csv: is not csv: it is a web page/);
});

test('a first download that cannot be read is not vouched for: it is put aside, and the next run gets it right', async () => {
  const whole = UPSTREAM.zeroeval!.files['ZeroEval-8c1485edf12c.tar.gz'] as Buffer;
  const cache = temporaryFolder();
  for (const bad of [whole.subarray(0, whole.length - 30), Buffer.from('<html>'), Buffer.from('neither')]) {
    const broken = await hosted('zeroeval', { 'ZeroEval-8c1485edf12c.tar.gz': bad });
    const failure = await failureOf(() => fetchIt('zeroeval', { env: broken.env, cache }));
    expect(['TRUNCATED_FILE', 'WRONG_FORMAT']).toContain(failure.code);
    expect(failure.message).toContain('tar.gz.rejected');
    expect(readdirSync(downloadFolder('zeroeval', cache))).toEqual(['ZeroEval-8c1485edf12c.tar.gz.rejected']);
  }
  const { env } = await hosted('zeroeval');
  expect((await fetchIt('zeroeval', { env, cache })).recorded).toEqual(['ZeroEval-8c1485edf12c.tar.gz']);
});

test('pickles are refused with what to do instead; the converted file is read', async () => {
  const cache = temporaryFolder();
  const bare = await failureOf(() => fetchIt('routerbench', { env: offline, cache }));
  const given = await failureOf(() =>
    fetchIt('routerbench', {
      env: offline,
      cache,
      from: [join(folderOf({ 'routerbench_0shot.pkl': 'x' }), 'routerbench_0shot.pkl')],
    }),
  );
  for (const failure of [bare, given]) {
    expect(failure.code).toBe('WRONG_FORMAT');
    expect(failure.message).toContain('pointsman datasets fetch routerbench --from routerbench_0shot.jsonl');
  }
  const dir = folderOf(UPSTREAM.routerbench!.files);
  const from = Object.keys(UPSTREAM.routerbench!.files).map((name) => join(dir, name));
  const fetched = await fetchIt('routerbench', { env: offline, cache, from });
  expect(fetched.written!.outcomes).toBe(UPSTREAM.routerbench!.outcomes.length);
});

test('the hub’s mirror and token are used for the hub’s files, and the commit that it names is kept', async () => {
  const { server } = await hosted('sprout');
  const fetched = await fetchIt('sprout', {
    env: { HF_ENDPOINT: `${server.url}/`, HF_TOKEN: 'hf_secret' },
    cache: temporaryFolder(),
  });
  expect(server.asked.every(({ authorization }) => authorization === 'Bearer hf_secret')).toBe(true);
  expect(fetched.source.revision).toBe('c'.repeat(40));
  const wrong = await failureOf(() => fetchIt('sprout', { env: { POINTSMAN_MIRROR: 'x' }, cache: temporaryFolder() }));
  expect(wrong).toMatchObject({ code: 'INVALID_CONFIG' });
});

test('a fetch that is stopped keeps what has arrived and no half-written dataset', async () => {
  const { server, env } = await hosted('embedllm');
  const cache = temporaryFolder();
  const stop = new AbortController();
  const onProgress = (step: string) => {
    if (step.includes('val.csv')) stop.abort(new Error('stopped'));
  };
  await expect(fetchIt('embedllm', { env, cache, signal: stop.signal, onProgress })).rejects.toThrow('stopped');
  expect(existsSync(join(cache, 'datasets'))).toBe(false);
  await fetchIt('embedllm', { env, cache });
  expect(asks(server, 'train.csv')).toBe(1);
});

const asks = (server: FlakyServer, name: string) => server.asked.filter(({ path }) => basename(path) === name).length;

/** What a command prints, run as the program runs it. */
async function printed(...argv: string[]): Promise<string> {
  const write = process.stdout.write;
  let text = '';
  process.stdout.write = ((chunk: string) => {
    text += chunk;
    return true;
  }) as typeof write;
  try {
    await datasetsCommand().parseAsync(argv, { from: 'user' });
  } finally {
    process.stdout.write = write;
  }
  return text;
}

test('list tells what there is, under which licence, and what is here', async () => {
  const { env } = await hosted('routerarena');
  const cache = temporaryFolder();
  await fetchIt('routerarena', { env, cache });
  const rows = JSON.parse(await printed('list', '--json', '--cache', cache)) as Record<string, unknown>[];
  expect(rows.map(({ name }) => name)).toEqual(SOURCES.map(({ name }) => name));
  expect(rows.filter(({ fetched }) => fetched).map(({ name }) => name)).toEqual(['routerarena']);
  expect(rows.find(({ name }) => name === 'routellm')).toMatchObject({ models: 2, prompts: 15_441, dir: null });
  const text = await printed('list', '--cache', cache);
  expect(text).toMatch(/routerarena +10 +8,400 +not known +yes +evaluation only/);
  for (const { licence } of SOURCES) expect(text).toContain(licence);
});

test('help teaches by examples', () => {
  const help = (name: string) => {
    let text = '';
    const command = datasetsCommand().commands.find((child) => child.name() === name)!;
    const writeOut = (part: string) => {
      text += part;
    };
    command.configureOutput({ writeOut }).outputHelp();
    return text;
  };
  expect(help('fetch')).toContain('pointsman datasets fetch routellm');
  expect(help('fetch')).toContain('HF_TOKEN');
  expect(help('list')).toContain('--json');
  expect(help('check')).toContain('pointsman datasets check DIR --json');
});

test('nothing is learned from data that is for evaluation only', async () => {
  const { env } = await hosted('routerarena');
  const { dir } = await fetchIt('routerarena', { env, cache: temporaryFolder() });
  const out = join(temporaryFolder(), 'router');
  const attempts = [
    () => trainCommand().parseAsync(['--data', dir, '--out', out], { from: 'user' }),
    () => onboardCommand().parseAsync(['a/b', '--data', dir, '--out', out], { from: 'user' }),
    () => anchorsCommand().parseAsync(['--data', dir], { from: 'user' }),
    () => leaderboardCommand().parseAsync(['--data', dir, '--out', out], { from: 'user' }),
    () => replayCommand().parseAsync(['--data', dir, '--out', out], { from: 'user' }),
    () => evalCommand().parseAsync([dir, '--router', 'knn', '--out', out], { from: 'user' }),
  ];
  for (const attempt of attempts) {
    const failure = await failureOf(attempt);
    expect(failure.code).toBe('EVALUATION_ONLY');
    expect(failure.message).toMatch(/its rules reject routers|may be evaluated on and not trained on/);
  }
  expect(existsSync(dirname(out)) && !existsSync(out)).toBe(true);
});

test('a dataset that was fetched can be checked by its name', async () => {
  const { env } = await hosted('routellm');
  const cache = temporaryFolder();
  await fetchIt('routellm', { env, cache });
  const before = process.env.POINTSMAN_CACHE;
  process.env.POINTSMAN_CACHE = cache;
  try {
    const [summary] = JSON.parse(await printed('check', 'routellm', '--json')) as {
      prompts: number;
      models: unknown[];
    }[];
    expect(summary).toMatchObject({ prompts: 3 });
    expect(readFileSync(join(cache, 'datasets', 'routellm', 'models.json'), 'utf8')).toContain('"inputUsdPerMTok": 10');
  } finally {
    if (before === undefined) delete process.env.POINTSMAN_CACHE;
    else process.env.POINTSMAN_CACHE = before;
  }
});
