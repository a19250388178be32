/** Router names of the command line → contenders. */
import { existsSync, statSync } from 'node:fs';
import { RoutingError } from '../datasets/index.ts';
import { isZooName, OURS, ZOO } from '../router/estimators/index.ts';
import { ALWAYS_SHOWN, BASELINES, type BaselineName } from './baselines/index.ts';
import type { Contender } from './contender.ts';
import { artifactAsItIs, fittedOn, type LearnedSource } from './learned.ts';

/** Shown when no router is named. */
export const DEFAULT_ROUTERS: readonly string[] = ['default', 'default+fit', 'knn', 'length-only', 'cascade'];

/** Loads an artifact folder; without a path the shipped one. */
export type LoadSource = (path?: string) => Promise<LearnedSource>;

export interface Roster {
  readonly contenders: readonly Contender[];
  /** Artifacts in use: what they were fitted on may not be tested on. */
  readonly sources: readonly LearnedSource[];
}

/**
 * The contenders to show, in a fixed order: learned routers as named, then baselines, the oracle last.
 * @throws `INVALID_CONFIG` for a name nobody answers to, and what loading an artifact throws
 */
export async function rosterOf(names: readonly string[], load: LoadSource): Promise<Roster> {
  const wanted = [...new Set([...(names.length === 0 ? DEFAULT_ROUTERS : names), ...ALWAYS_SHOWN])];
  const sources = new Map<string, LearnedSource>();
  const sourceOf = async (path?: string): Promise<LearnedSource> => {
    const key = path ?? '';
    const source = sources.get(key) ?? (await load(path));
    sources.set(key, source);
    return source;
  };
  for (const name of wanted) checkName(name);
  const learned: Contender[] = [];
  for (const name of wanted) {
    if (name in BASELINES) continue;
    if (isZooName(name)) {
      const source = await sourceOf();
      learned.push(fittedOn(name, source, source.estimator(name)));
    } else {
      const fit = name.endsWith('+fit');
      const place = fit ? name.slice(0, -'+fit'.length) : name;
      const source = await sourceOf(place === 'default' ? undefined : place);
      learned.push(fit ? fittedOn(name, source, source.estimator(OURS)) : artifactAsItIs(name, source));
    }
  }
  const baselines = (Object.keys(BASELINES) as BaselineName[]).filter((name) => wanted.includes(name));
  return { contenders: [...learned, ...baselines.map((name) => BASELINES[name]())], sources: [...sources.values()] };
}

function checkName(name: string): void {
  if (name in BASELINES || isZooName(name) || name === 'default' || name === 'default+fit') return;
  const path = name.endsWith('+fit') ? name.slice(0, -'+fit'.length) : name;
  if (existsSync(path) && statSync(path).isDirectory()) return;
  const known = ['default', 'default+fit', ...Object.keys(ZOO), ...Object.keys(BASELINES)].join(', ');
  throw new RoutingError(
    'INVALID_CONFIG',
    `unknown router "${name}": it is neither a name (${known}) nor an artifact folder, with or without +fit`,
  );
}
