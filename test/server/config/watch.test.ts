import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { type ConfigWatch, type GatewayConfig, readConfig, watchConfig } from '../../../server/config/index.ts';

const root = mkdtempSync(join(tmpdir(), 'pointsman-watch-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const running: ConfigWatch[] = [];
afterEach(() => {
  for (const watch of running.splice(0)) watch.stop();
});

/** A file under watch, with what was handed on and what was refused. */
async function watched(
  text: string | null,
  options: { take?: (config: GatewayConfig) => void; settleMs?: number } = {},
) {
  const folder = join(root, String(++folders));
  mkdirSync(folder);
  const file = join(folder, 'pointsman.yaml');
  if (text !== null) writeFileSync(file, text);
  const changes: GatewayConfig[] = [];
  const refusals: string[] = [];
  const watch = watchConfig(
    { file },
    (config) => {
      options.take?.(config);
      changes.push(config);
    },
    ({ code, message }) => refusals.push(`${code} ${message}`),
    { everyMs: 10, settleMs: options.settleMs ?? 5 },
  );
  running.push(watch);
  await watch.look();
  return { folder, file, changes, refusals, watch };
}

const soon = (check: () => void) => vi.waitFor(check, { timeout: 50_000, interval: 5 });
/** Long enough for several looks. */
const aWhile = () => new Promise((resolve) => setTimeout(resolve, 150));

test('hands on a change, once, and says nothing when only comments changed', async () => {
  const { file, changes, refusals } = await watched('maxAttempts: 3');
  writeFileSync(file, 'maxAttempts: 4');
  await soon(() => expect(changes).toHaveLength(1));
  expect(changes[0]).toMatchObject({ maxAttempts: 4 });
  writeFileSync(file, '# better\nmaxAttempts: 4\n');
  utimesSync(file, new Date(), new Date());
  await aWhile();
  expect(changes).toHaveLength(1);
  expect(refusals).toEqual([]);
});

test('refuses a bad file with its line, once, keeps the old one, and takes up the next good one', async () => {
  const { file, changes, refusals } = await watched('maxAttempts: 3');
  writeFileSync(file, 'maxAttempts: 4\nmaxAttemps: 5');
  await soon(() => expect(refusals).toHaveLength(1));
  await aWhile();
  expect(refusals).toEqual([
    expect.stringMatching(/^INVALID_CONFIG .*pointsman\.yaml:2:1: maxAttemps: no such option/),
  ]);
  expect(changes).toEqual([]);
  // Back to what is in force: no change, no refusal.
  writeFileSync(file, 'maxAttempts: 3');
  await aWhile();
  expect(changes).toEqual([]);
  writeFileSync(file, 'maxAttempts: 6');
  await soon(() => expect(changes).toHaveLength(1));
  expect(refusals).toHaveLength(1);
});

test('sees a file that is renamed over, as editors do', async () => {
  const { folder, file, changes } = await watched('maxAttempts: 3');
  writeFileSync(join(folder, 'new'), 'maxAttempts: 4');
  renameSync(join(folder, 'new'), file);
  await soon(() => expect(changes).toHaveLength(1));
});

test('sees a link that points elsewhere, as Kubernetes has it', async () => {
  const folder = join(root, 'map');
  for (const [version, attempts] of [
    ['v1', 3],
    ['v2', 4],
  ] as const) {
    mkdirSync(join(folder, version), { recursive: true });
    writeFileSync(join(folder, version, 'pointsman.yaml'), `maxAttempts: ${attempts}`);
  }
  symlinkSync('v1', join(folder, '..data'));
  symlinkSync(join('..data', 'pointsman.yaml'), join(folder, 'pointsman.yaml'));
  const changes: GatewayConfig[] = [];
  const watch = watchConfig(
    { file: join(folder, 'pointsman.yaml') },
    (c) => void changes.push(c),
    () => {},
    {
      everyMs: 10,
      settleMs: 5,
    },
  );
  running.push(watch);
  await watch.look();
  symlinkSync('v2', join(folder, '..new'));
  renameSync(join(folder, '..new'), join(folder, '..data'));
  await soon(() => expect(changes[0]).toMatchObject({ maxAttempts: 4 }));
});

test('waits for a file that is being written to lie still', async () => {
  const { file, changes, refusals } = await watched('maxAttempts: 3', { settleMs: 1500 });
  // Truncated, half, whole: each a few milliseconds after the other.
  for (const text of ['', 'maxAttempts: 4\nprov', 'maxAttempts: 4\nproviders: {groq: {}}\n']) {
    writeFileSync(file, text);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await soon(() => expect(changes.at(-1)).toMatchObject({ providers: { groq: { enabled: true } } }));
  expect(changes).toHaveLength(1);
  expect(refusals).toEqual([]);
});

test('takes neither an emptied file nor a missing one for no options: keys would be gone', async () => {
  const { file, changes, refusals } = await watched('keys: [{name: a, key: 0123456789abcdef}]');
  writeFileSync(file, '\n');
  await soon(() => expect(refusals).toEqual([expect.stringMatching(/^INVALID_CONFIG .*is empty; write \{\}/)]));
  unlinkSync(file);
  await soon(() => expect(refusals[1]).toMatch(/^MISSING_FILE .*is gone; what it said last stays in force/));
  await aWhile();
  expect(refusals).toHaveLength(2);
  expect(changes).toEqual([]);
  writeFileSync(file, '{}');
  await soon(() => expect(changes[0]).toMatchObject({ keys: [] }));
});

test('a change that cannot be taken up is a refusal, and what was in force stays so', async () => {
  let works = false;
  const { file, changes, refusals, watch } = await watched('maxAttempts: 3', {
    take: () => {
      if (!works) throw new Error('no such catalog');
    },
  });
  writeFileSync(file, 'maxAttempts: 4');
  await soon(() => expect(refusals).toEqual([expect.stringContaining('could not be taken up: no such catalog')]));
  works = true;
  // The same text again, when somebody asks for it.
  await watch.look();
  expect(changes).toHaveLength(1);
});

test('sees a change that came between reading the file and watching it', async () => {
  const folder = join(root, 'between');
  mkdirSync(folder);
  const file = join(folder, 'pointsman.yaml');
  writeFileSync(file, 'maxAttempts: 3');
  const current = readConfig({ file });
  writeFileSync(file, 'maxAttempts: 4');
  const changes: GatewayConfig[] = [];
  const watch = watchConfig(
    { file },
    (c) => void changes.push(c),
    () => {},
    { current, everyMs: 10, settleMs: 5 },
  );
  running.push(watch);
  await watch.look();
  expect(changes).toHaveLength(1);
});

test.runIf(process.platform !== 'win32')('looks at once on SIGHUP, and stops listening when told to', async () => {
  const folder = join(root, 'signal');
  mkdirSync(folder);
  const file = join(folder, 'pointsman.yaml');
  writeFileSync(file, 'maxAttempts: 3');
  const before = process.listenerCount('SIGHUP');
  const changes: GatewayConfig[] = [];
  const watch = watchConfig(
    { file },
    (c) => void changes.push(c),
    () => {},
    { everyMs: 3_600_000, settleMs: 5 },
  );
  running.push(watch);
  await watch.look();
  writeFileSync(file, 'maxAttempts: 4');
  if (process.stdout.isTTY) await watch.look();
  else process.emit('SIGHUP', 'SIGHUP');
  await soon(() => expect(changes).toHaveLength(1));
  watch.stop();
  expect(process.listenerCount('SIGHUP')).toBe(before);
  writeFileSync(file, 'maxAttempts: 5');
  await watch.look();
  expect(changes).toHaveLength(1);
});
