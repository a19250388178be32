/** Stands in for `server/db/start-worker.ts` in tests: a thread runs the compiled program, and starts the sooner. */
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { inject } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DESK = inject('desk');

// PGlite's 9 MB of WebAssembly are run for a second or two: compiled once and fast, not a second time and better.
for (const flag of ['--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) setFlagsFromString(flag);

export function startWorker(base: string, name: string, options: WorkerOptions = {}): Worker {
  const module = relative(ROOT, fileURLToPath(new URL(`${name}.js`, base)));
  // Asked for in the thread: nothing is compiled for a test that starts none.
  const bootstrap = `
    const { get } = require('node:http');
    const { join } = require('node:path');
    const { pathToFileURL } = require('node:url');
    const root = new Promise((resolve, reject) => {
      get(${JSON.stringify(`${DESK}/program`)}, { agent: false }, async (response) => {
        let text = '';
        for await (const piece of response.setEncoding('utf8')) text += piece;
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(text));
      }).on('error', reject);
    });
    root.then((folder) => import(pathToFileURL(join(folder, ${JSON.stringify(module)})).href));
  `;
  return new Worker(bootstrap, { ...options, eval: true, execArgv: [] });
}
