/** A named model is found on this machine or fetched from a hub once, whole or not at all; a failure says what to do. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openTransformerEncoder } from '../../router/encoder/transformer/transformer.ts';
import { encoderFolder } from '../../server/encoder-folder.ts';
import { failureOf, temporaryFolder } from '../datasets/fixtures.ts';
import { writeTinyModel } from '../router/encoder/transformer/tiny-model.ts';

const MODEL = 'made-up/tiny';
let server: Server;
let hub: string;
/** Files of the model on the hub, and what was asked of it. */
let files: Map<string, Buffer>;
let asked: { path: string; authorization: string | undefined }[] = [];

beforeAll(async () => {
  server = createServer(({ url = '', headers: { authorization } }, response) => {
    asked.push({ path: url, authorization });
    const [, name] = /^\/made-up\/tiny\/resolve\/c0ffee\/(.+)$/.exec(url) ?? [];
    const file = name === undefined ? undefined : files.get(name);
    if (url === '/api/models/made-up/tiny/revision/main' || url === '/api/models/made-up/tiny/revision/v2') {
      const siblings = [...files.keys()].map((rfilename) => ({ rfilename }));
      response.end(JSON.stringify({ sha: 'c0ffee', siblings }));
    } else if (url.startsWith('/api/models/made-up/odd/')) {
      response.end('<html>a page of something else</html>');
    } else if (file !== undefined && name === 'broken.onnx') {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('half');
      setImmediate(() => response.destroy());
    } else if (file !== undefined) {
      response.writeHead(200, { 'content-length': String(file.length) });
      response.end(file);
    } else {
      response.writeHead(404).end('not found');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  hub = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => server.close());

beforeEach(() => {
  const model = writeTinyModel(temporaryFolder());
  const names = readdirSync(model, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  files = new Map(
    names.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(model.length + 1).replaceAll('\\', '/'), readFileSync(path)];
    }),
  );
  for (const name of ['pytorch_model.bin', 'onnx/model_O4.onnx', 'README.md']) files.set(name, Buffer.from('large'));
  asked = [];
});

const find = (named: string, dataDir: string, env: Record<string, string> = {}): Promise<string> =>
  encoderFolder(named, { dataDir, env: { HF_ENDPOINT: hub, ...env } });

describe('a model', () => {
  test('of this machine is its folder, and no hub is asked, whatever it is called', async () => {
    const dir = writeTinyModel(temporaryFolder());
    expect(await find(`transformer:${dir}`, temporaryFolder())).toBe(dir);
    expect(asked).toEqual([]);
  });

  test('of the hub is fetched once, without the files that it is not made of, and runs', async () => {
    const dataDir = temporaryFolder();
    const shares: number[] = [];
    const folder = await encoderFolder(`transformer:${MODEL}`, {
      dataDir,
      env: { HF_ENDPOINT: `${hub}/` },
      onProgress: (_, share) => shares.push(share),
    });
    expect(folder).toBe(join(dataDir, 'encoders', 'made-up', 'tiny'));
    for (const [name, content] of files) {
      const wanted = !['pytorch_model.bin', 'onnx/model_O4.onnx', 'README.md'].includes(name);
      expect(existsSync(join(folder, name)), name).toBe(wanted);
      if (wanted) expect(Buffer.compare(readFileSync(join(folder, name)), content), name).toBe(0);
    }
    expect(shares.at(-1)).toBe(1);
    expect(readdirSync(join(dataDir, 'encoders', 'made-up'))).toEqual(['tiny']);
    const before = asked.length;
    expect(await find(`transformer:${MODEL}`, dataDir)).toBe(folder);
    expect(asked).toHaveLength(before);
    const encoder = await openTransformerEncoder(folder);
    expect(encoder.dimension).toBe(3);
    await encoder.close();
  });

  test('of the hub comes in the revision named, with the key that is set', async () => {
    const dataDir = temporaryFolder();
    const folder = await find(`transformer:${MODEL}@v2`, dataDir, { HF_TOKEN: 'hf_secret' });
    expect(folder).toBe(join(dataDir, 'encoders', 'made-up', 'tiny@v2'));
    expect(asked[0]).toEqual({ path: '/api/models/made-up/tiny/revision/v2', authorization: 'Bearer hf_secret' });
    expect(asked.every(({ authorization }) => authorization === 'Bearer hf_secret')).toBe(true);
  });

  test('whose hub lists files that lead elsewhere is fetched without them', async () => {
    files.set('onnx/model.onnx/../../../../evil', Buffer.from('evil'));
    files.set('../tokenizer.json', Buffer.from('evil'));
    files.set('../config.json', Buffer.from('evil'));
    await find(`transformer:${MODEL}`, temporaryFolder());
    expect(asked.filter(({ path }) => path.includes('..') || path.includes('evil'))).toEqual([]);
  });
});

describe('a model that cannot be had', () => {
  test.each([
    ['minilm', 'INVALID_CONFIG', /write transformer:FOLDER, or transformer:OWNER\/NAME/],
    ['transformer:', 'INVALID_CONFIG', /write transformer:FOLDER/],
    ['transformer:./no/such/folder', 'MISSING_FILE', /no\/such\/folder: no such folder/],
    ['transformer:../up', 'MISSING_FILE', /up: no such folder/],
    [
      'transformer:made-up/unknown',
      'MISSING_FILE',
      /answered 404: there is no folder made-up\/unknown here and no such model.*HF_TOKEN/,
    ],
    ['transformer:made-up/odd', 'MISSING_FILE', /does not describe made-up\/odd.*HF_ENDPOINT/],
  ])('as %s says what to do', async (named, code, message) => {
    const failure = await failureOf(() => find(named, temporaryFolder()));
    expect(failure.code).toBe(code);
    expect(failure.message).toMatch(message);
  });

  test('because the hub is out of reach says so, and how to do without', async () => {
    const failure = await failureOf(() =>
      find(`transformer:${MODEL}`, temporaryFolder(), { HF_ENDPOINT: 'http://127.0.0.1:1' }),
    );
    expect(failure.code).toBe('MISSING_FILE');
    expect(failure.message).toContain('there is no folder made-up/tiny here, and http://127.0.0.1:1 cannot be reached');
    expect(failure.message).toContain('offline, fetch the model elsewhere');
  });

  test('because nobody exported it to ONNX says how to', async () => {
    files.delete('onnx/model.onnx');
    files.delete('onnx/model_O4.onnx');
    const failure = await failureOf(() => find(`transformer:${MODEL}`, temporaryFolder()));
    expect(failure.code).toBe('MISSING_FILE');
    expect(failure.message).toContain('optimum-cli export onnx --model made-up/tiny');
  });

  test('because the line broke leaves nothing behind, and is fetched at the next try', async () => {
    const network = files.get('onnx/model.onnx')!;
    files.delete('onnx/model.onnx');
    files.delete('onnx/model_O4.onnx');
    files.set('broken.onnx', network);
    const dataDir = temporaryFolder();
    const failure = await failureOf(() => find(`transformer:${MODEL}`, dataDir));
    expect(failure.code).toBe('MISSING_FILE');
    expect(failure.message).toContain('cannot be reached');
    expect(readdirSync(join(dataDir, 'encoders', 'made-up'))).toEqual([]);
    files.delete('broken.onnx');
    files.set('onnx/model.onnx', network);
    expect(existsSync(join(await find(`transformer:${MODEL}`, dataDir), 'onnx', 'model.onnx'))).toBe(true);
  });
});

test('a folder of this machine goes before a model of the same name on the hub', async () => {
  const home = temporaryFolder();
  mkdirSync(join(home, 'made-up', 'tiny'), { recursive: true });
  writeFileSync(join(home, 'made-up', 'tiny', 'mine'), '');
  expect(await find(`transformer:${join(home, 'made-up', 'tiny')}`, home)).toBe(join(home, 'made-up', 'tiny'));
  expect(asked).toEqual([]);
});
