/** Compiles the program as it lies here, file by file: what a test starts from it starts in a third of the time. */
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Of `test/` what a test runs as a process of its own. */
const FOLDERS = ['datasets', 'router', 'eval', 'server', 'test'];

/** @param out a folder that is there and empty */
export async function compile(out: string): Promise<void> {
  const lists = await Promise.all(
    FOLDERS.map((folder) => readdir(join(ROOT, folder), { recursive: true, withFileTypes: true })),
  );
  const files = lists
    .flat()
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((file) => !/\.(test\.ts|md)$/.test(file));
  const sources = files.filter((file) => file.endsWith('.ts'));
  const others = files.filter((file) => !file.endsWith('.ts'));
  const folders = new Set(files.map((file) => join(out, dirname(file))));
  await Promise.all([...folders].map((folder) => mkdir(folder, { recursive: true })));
  await Promise.all([
    build({
      absWorkingDir: ROOT,
      entryPoints: sources,
      outbase: ROOT,
      outdir: out,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      logLevel: 'error',
      write: false,
    }).then(({ outputFiles }) => Promise.all(outputFiles.map(({ path, text }) => writeFile(path, withoutTs(text))))),
    ...others.map((file) => cp(join(ROOT, file), join(out, file))),
    symlink(join(ROOT, 'node_modules'), join(out, 'node_modules'), 'dir'),
    readFile(join(ROOT, 'package.json')).then((text) => writeFile(join(out, 'package.json'), text)),
  ]);
}

/** Imports name the compiled files; `esbuild` writes every name in double quotes. */
const withoutTs = (text: string): string =>
  text.replace(/(\b(?:from|import)\s*\(?\s*"\.{1,2}\/[^"\n]*)\.ts"/g, '$1.js"');
