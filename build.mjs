// Compiles to dist/ and copies what is not TypeScript: models, replays, catalog, migrations, pages.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, rmSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
for (const folder of [
  'router/models',
  'datasets/replays',
  'datasets/catalog',
  'server/db',
  'server/dashboard',
  'server/config',
  'server/examples',
  'eval',
]) {
  if (!existsSync(folder)) continue;
  cpSync(folder, `dist/${folder}`, { recursive: true, filter: (path) => !/\.(ts|mts|md)$/.test(path) });
}
chmodSync('dist/server/cli/main.js', 0o755);
