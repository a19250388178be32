/** Public datasets by name. One more is one file beside this one and one line below. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { RoutingError } from '../errors.ts';
import { refuseForTraining } from '../evaluation-only.ts';
import { embedllm } from './embedllm.ts';
import { livecodebench } from './livecodebench.ts';
import { llmrouterbench } from './llmrouterbench.ts';
import { mmluPro } from './mmlu-pro.ts';
import { routellm } from './routellm.ts';
import { routerarena } from './routerarena.ts';
import { routerbench } from './routerbench.ts';
import type { Source } from './source.ts';
import { sprout } from './sprout.ts';
import { zeroeval } from './zeroeval.ts';

export const SOURCES: readonly Source[] = [
  routellm,
  routerbench,
  sprout,
  llmrouterbench,
  embedllm,
  mmluPro,
  zeroeval,
  livecodebench,
  routerarena,
];

/** @throws `INVALID_CONFIG` that lists the names there are */
export function sourceNamed(name: string): Source {
  const found = SOURCES.find((source) => source.name === name);
  if (found !== undefined) return found;
  throw new RoutingError(
    'INVALID_CONFIG',
    `${name}: no dataset of that name; there are ${SOURCES.map((source) => source.name).join(', ')}`,
  );
}

/** `$POINTSMAN_CACHE`, else `pointsman` below the user's cache folder. Downloads and datasets lie below it. */
export function cacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env.POINTSMAN_CACHE) return env.POINTSMAN_CACHE;
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pointsman');
}

/** Where a dataset is kept once it is fetched. */
export const datasetFolder = (name: string, cache: string = cacheFolder()): string => join(cache, 'datasets', name);

/** Where its files are kept, and looked for before anything is downloaded. */
export const downloadFolder = (name: string, cache: string = cacheFolder()): string => join(cache, 'downloads', name);

/**
 * A folder as it was given; the name of a public dataset becomes the folder that it was fetched to. A folder of that
 * name comes first. Whatever else it is, it is given back: who reads it says what is wrong with it.
 * @throws `MISSING_FILE` for a known name that was not fetched yet
 */
export function resolveDataset(nameOrDir: string, cache: string = cacheFolder()): string {
  if (existsSync(nameOrDir) || !SOURCES.some((source) => source.name === nameOrDir)) return nameOrDir;
  const dir = datasetFolder(nameOrDir, cache);
  if (existsSync(dir)) return dir;
  throw new RoutingError(
    'MISSING_FILE',
    `${nameOrDir}: a public dataset that is not here yet; run: pointsman datasets fetch ${nameOrDir}`,
  );
}

/** Folders to learn from, by path or name. @throws as {@link resolveDataset} and {@link refuseForTraining} */
export function resolveForTraining(namesOrDirs: readonly string[]): string[] {
  const dirs = namesOrDirs.map((nameOrDir) => resolveDataset(nameOrDir));
  for (const dir of dirs) refuseForTraining(dir);
  return dirs;
}
