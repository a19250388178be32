/** A module of ours in a thread of its own, from TypeScript sources as from dist. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * @param base `import.meta.url` of the caller
 * @param name the worker's module relative to it, without extension
 */
export function startWorker(base: string, name: string, options: WorkerOptions = {}): Worker {
  if (!base.endsWith('.ts')) return new Worker(new URL(`${name}.js`, base), options);
  // Node 20 reads no TypeScript, and tsx does not reach into threads by itself: register it there first.
  const tsx = new URL(
    './dist/esm/api/index.mjs',
    pathToFileURL(createRequire(import.meta.url).resolve('tsx/package.json')),
  ).href;
  const module = new URL(`${name}.ts`, base).href;
  const bootstrap = `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(module)}); })`;
  return new Worker(bootstrap, { ...options, eval: true, execArgv: [] });
}
