import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { readable, routeCommand } from '../../server/cli/route.ts';
import { startGateway } from '../../server/main.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'pointsman-route-'));
afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
  vi.restoreAllMocks();
});

async function run(...args: string[]): Promise<string> {
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((line) => lines.push(line));
  await routeCommand().parseAsync(['--data-dir', dataDir, ...args], { from: 'user' });
  return lines.join('\n');
}

test('shows the choice, its reason and the candidates', async () => {
  const text = await run('What is 12 x 12?');
  expect(text).toMatch(/^\S+\/\S+\n/);
  expect(text).toContain('expected cost');
  expect(text).toContain('candidate');
  // What it beat, by how much.
  expect(text).toMatch(/^ {2}against .*(next dearer one that is good enough|predicted the best|no other)/m);
});

test('fits the terminal: no line is longer, and ids keep both ends', async () => {
  const decision = JSON.parse(await run('--json', 'What is 12 x 12?'));
  const [chosen] = decision.ranked;
  chosen.model = `fireworks/${'accounts/'.repeat(8)}deepseek-v4`;
  for (const room of [80, 120]) {
    const lines = readable(decision, false, room).split('\n').slice(1);
    for (const line of lines.filter((one) => !one.includes(chosen.model)))
      expect(line.length).toBeLessThanOrEqual(room);
    expect(lines.some((line) => /^ {2}firewor.*\u2026.*deepseek-v4 /.test(line))).toBe(true);
  }
  expect(readable(decision, false, undefined)).toContain(`  ${chosen.model} `);
});

test('prints the same as JSON, by the running gateway where one runs', async () => {
  const offline = JSON.parse(await run('--json', 'What is 12 x 12?'));
  const gateway = await startGateway({ overrides: { dataDir, host: '127.0.0.1', port: 0, logLevel: 'silent' } });
  try {
    const online = JSON.parse(await run('--json', 'What is 12 x 12?'));
    // Only the running gateway says how long its router took.
    expect(offline).not.toHaveProperty('routerMs');
    expect(online.routerMs).toBeGreaterThan(0);
    // Which candidate is drawn may differ, what is known of each may not.
    const byModel = (ranked: { model: string; quality: number }[]) =>
      Object.fromEntries(ranked.map(({ model, quality }) => [model, quality]));
    expect(byModel(online.ranked)).toEqual(byModel(offline.ranked));
  } finally {
    await gateway.close();
  }
});

test.each(['--dial', '--min-quality', '--budget'])(
  '%s without a number is refused, as a variable that is not set',
  async (option) => {
    const command = routeCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => {} });
    await expect(command.parseAsync(['--data-dir', dataDir, option, '', 'hi'], { from: 'user' })).rejects.toMatchObject(
      {
        code: 'commander.invalidArgument',
        message: expect.stringContaining(option),
      },
    );
  },
);

test('asks for a prompt when there is none', async () => {
  await expect(run('  ')).rejects.toMatchObject({
    code: 'INVALID_REQUEST',
    message: expect.stringContaining('no prompt'),
  });
});
