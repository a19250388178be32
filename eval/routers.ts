/** Router names of the command line → contenders. */
import { existsSync, statSync } from 'node:fs';
import { RoutingError } from '../datasets/index.ts';
import { isZooName, OURS, ZOO, type ZooName } from '../router/estimators/index.ts';
import type { CheckErrors } from '../router/policy/cascade.ts';
import { escalating } from './baselines/escalation.ts';
import { ALWAYS_SHOWN, BASELINES, type BaselineName } from './baselines/index.ts';
import type { Contender } from './contender.ts';
import { type HttpRouterOptions, httpRouter } from './http-router.ts';
import { artifactAsItIs, fittedOn, type LearnedSource } from './learned.ts';
import { predictionsRouter } from './predictions.ts';

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
 * @param http for routers that are asked over HTTP
 * @param check how often a check errs that every learned router is then shown with, too: `NAME+escalation`, `NAME+cascade`
 * @throws `INVALID_CONFIG` for a name nobody answers to, and what loading an artifact or reading predictions throws
 */
export async function rosterOf(
  names: readonly string[],
  load: LoadSource,
  http: HttpRouterOptions = {},
  check?: CheckErrors,
): Promise<Roster> {
  const wanted = [...new Set([...(names.length === 0 ? DEFAULT_ROUTERS : names), ...ALWAYS_SHOWN])].map(askedFor);
  checkNames(wanted);
  const sources = new Map<string, LearnedSource>();
  const sourceOf = async (path?: string): Promise<LearnedSource> => {
    const key = path ?? '';
    const source = sources.get(key) ?? (await load(path));
    sources.set(key, source);
    return source;
  };
  const learned: Contender[] = [];
  for (const { name, kind, target } of wanted) {
    if (kind === 'predictions') learned.push(await predictionsRouter(name, target));
    else if (kind === 'http') learned.push(httpRouter(name, target, http));
    else if (kind === 'method') {
      const source = await sourceOf();
      learned.push(fittedOn(name, source, source.estimator(target as ZooName)));
    } else if (kind === 'artifact') {
      const place = withoutFit(target);
      const source = await sourceOf(place === 'default' ? undefined : place);
      const fit = place !== target;
      learned.push(fit ? fittedOn(name, source, source.estimator(OURS)) : artifactAsItIs(name, source));
    }
  }
  const baselines = (Object.keys(BASELINES) as BaselineName[]).filter((name) => wanted.some((w) => w.name === name));
  const checked =
    check === undefined
      ? []
      : learned.flatMap((one) => [escalating(one, 'escalation', check), escalating(one, 'cascade', check)]);
  const contenders = [...learned, ...checked, ...baselines.map((name) => BASELINES[name]())];
  return { contenders, sources: [...sources.values()] };
}

/** What a router of the command line is called in reports: NAME of `NAME=PATH` or `NAME=URL`, else as it was given. */
export const routerName = (given: string): string => askedFor(given).name;

interface Asked {
  readonly given: string;
  /** In reports. */
  readonly name: string;
  readonly kind: 'baseline' | 'method' | 'artifact' | 'predictions' | 'http' | 'unknown';
  /** Name, path or address, without NAME=. */
  readonly target: string;
}

/** The whole is looked up first, since paths and addresses may hold a `=`. */
function askedFor(given: string): Asked {
  const kind = kindOf(given);
  const at = given.indexOf('=');
  if (kind !== 'unknown' || at <= 0) return { given, name: given, kind, target: given };
  const target = given.slice(at + 1);
  const named = kindOf(target);
  // Another name for what has one already would hide what is compared.
  const place = named === 'predictions' || named === 'http' || isFolder(withoutFit(target));
  return { given, name: given.slice(0, at), kind: place ? named : 'unknown', target };
}

function kindOf(target: string): Asked['kind'] {
  if (Object.hasOwn(BASELINES, target)) return 'baseline';
  if (isZooName(target)) return 'method';
  if (target === 'default' || target === 'default+fit' || isFolder(withoutFit(target))) return 'artifact';
  if (/^https?:\/\//i.test(target)) return 'http';
  return isPredictions(target) ? 'predictions' : 'unknown';
}

const withoutFit = (name: string): string => (name.endsWith('+fit') ? name.slice(0, -'+fit'.length) : name);
const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();
const isPredictions = (path: string): boolean =>
  /\.jsonl(\.gz)?$/.test(path) && existsSync(path) && statSync(path).isFile();

/** Rows that every evaluation has without showing them. */
const HIDDEN_ROWS = ['dearest', 'worst', 'baseline'];

function checkNames(wanted: readonly Asked[]): void {
  const taken = new Set<string>();
  for (const { given, name, kind, target } of wanted) {
    if (kind === 'unknown') throw new RoutingError('INVALID_CONFIG', `unknown router "${given}": ${why(target)}`);
    const reserved = name !== target && (kindOf(name) !== 'unknown' || HIDDEN_ROWS.includes(name));
    if (reserved || taken.has(name)) {
      const whose = reserved ? 'is the name of a router here' : 'is given to two routers';
      throw new RoutingError('INVALID_CONFIG', `router "${given}": "${name}" ${whose}; choose another NAME in NAME=…`);
    }
    taken.add(name);
  }
}

function why(target: string): string {
  if (/\.jsonl(\.gz)?$/.test(target)) return `there is no predictions file ${target}`;
  if (kindOf(target) !== 'unknown') return `NAME= is for paths and addresses; call it ${target}`;
  const known = ['default', 'default+fit', ...Object.keys(ZOO), ...Object.keys(BASELINES)].join(', ');
  return (
    `it is neither a name (${known}) nor an artifact folder, with or without +fit, nor a predictions file ` +
    '(.jsonl, .jsonl.gz), nor http(s)://HOST[/v1/route]; NAME=PATH or NAME=URL gives one a name'
  );
}
