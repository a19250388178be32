/** `train --encoder transformer:PATH` on the command line, and what routes with its artifact afterwards. */
import { spawn } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startGateway } from '../../../server/main.ts';
import { folderOf, temporaryFolder } from '../../datasets/fixtures.ts';
import { tinyDataset, writeTinyModel } from '../../router/encoder/transformer/tiny-model.ts';
import { programFile } from '../../run/shared.ts';

const PROGRAM = await programFile();

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program in a folder of its own; it must end by itself, whatever threads it has. */
function pointsman(cwd: string, args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd, env: { ...process.env, ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (piece) => (stdout += String(piece)));
  child.stderr.on('data', (piece) => (stderr += String(piece)));
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr })));
}

test('trains over a model of this machine, routes and serves with the result, also when the model has moved', async () => {
  const home = temporaryFolder();
  const { prompts, outcomes, models } = tinyDataset(300);
  const data = folderOf({
    'prompts.jsonl': [...prompts],
    'outcomes.jsonl': [...outcomes],
    'models.json': JSON.stringify(models),
  });
  const model = writeTinyModel(join(home, 'model'), { pooling: null });
  const trained = await pointsman(home, ['train', '--data', data, '--encoder', 'transformer:model', '--out', 'router']);
  expect(trained.stderr).toContain('no 1_Pooling/config.json: the mean of the token vectors is taken');
  expect(trained.status, trained.stderr).toBe(0);
  expect(trained.stdout).toMatch(/encoder {11}transformer-[0-9a-f]{16}, 3 dimensions/);

  const facts = {
    contextTokens: 100_000,
    inputModalities: ['text'],
    tools: true,
    structuredOutput: true,
    reasoning: false,
  };
  const catalog = {
    priceDate: '2026-11-01',
    models: Object.entries(models).map(([id, prices]) => ({ id, ...prices, ...facts })),
  };
  writeFileSync(join(home, 'catalog.json'), JSON.stringify(catalog));
  const ask = ['route', 'what is what is', '--artifact', 'router', '--catalog', 'catalog.json', '--json'];
  const routed = await pointsman(home, ask);
  expect(routed.stderr).toBe('');
  expect(JSON.parse(routed.stdout).model).toMatch(/^local\//);

  renameSync(model, join(home, 'moved'));
  const lost = await pointsman(home, ask);
  expect(lost.status).not.toBe(0);
  expect(lost.stderr).toContain('ARTIFACT_MISSING');
  expect(lost.stderr).toContain(model);
  const found = await pointsman(home, ask, { POINTSMAN_ENCODER: 'transformer:moved' });
  expect(JSON.parse(found.stdout)).toMatchObject({ artifact: JSON.parse(routed.stdout).artifact });

  const gateway = await startGateway({
    file: false,
    env: {},
    overrides: {
      port: 0,
      logLevel: 'silent',
      dataDir: join(home, 'data'),
      catalog: join(home, 'catalog.json'),
      artifact: join(home, 'router'),
      encoder: `transformer:${join(home, 'moved')}`,
    },
  });
  try {
    const reply = await fetch(`${gateway.url}/v1/route`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ messages: [{ role: 'user', content: 'three sum plus three' }] }),
    });
    expect(reply.status).toBe(200);
    const { hash, encoder } = JSON.parse(readFileSync(join(home, 'router', 'manifest.json'), 'utf8'));
    expect(await reply.json()).toMatchObject({ artifact: hash });
    expect(encoder.kind).toBe('transformer');
  } finally {
    await gateway.close();
  }
}, 180_000);

test('says at once what is wrong with the model that was named', async () => {
  const home = temporaryFolder();
  const args = ['train', '--data', 'none', '--out', 'router', '--encoder'];
  const absent = await pointsman(home, [...args, 'transformer:./absent']);
  expect(absent.status).not.toBe(0);
  expect(absent.stderr).toContain(`${join(home, 'absent')}: no such folder`);
  const other = await pointsman(home, [...args, 'minilm']);
  expect(other.stderr).toContain('write transformer:FOLDER');
});
