/** Ranks methods on a source by group split: 30 % of the groups tested, settings frozen on the rest, many times over. */
import { deriveSeed } from '../../datasets/index.ts';
import { type FoldResult, runFold } from '../fold.ts';
import { type FoldRows, foldRows } from '../split.ts';
import { type Entry, withPrompts } from './entry.ts';
import { contenderOf, type Methods } from './field.ts';
import { measureSplit, type Resamples, type SplitMeasure } from './measure.ts';

export interface RankOptions {
  readonly methods: Methods;
  /** The method whose labels the control permutes. */
  readonly ours: string;
  /** Names of {@link Methods} and of the rows and controls to measure beside them. */
  readonly names: readonly string[];
  readonly splits: number;
  /** Training prompts of each split; undefined: all. */
  readonly labels?: number;
  readonly seed: number;
  readonly replicates: number;
  readonly onProgress: (message: string) => void;
  /** Keeps what was measured from run to run. */
  readonly store?: MeasureStore;
}

/** Measures by a key that names everything they depend on. */
export interface MeasureStore {
  get(key: string): unknown;
  set(key: string, measure: unknown): void;
}

/** Without these no figure can be worked out. */
const NEEDED: readonly string[] = ['zero', 'cheapest', 'dearest', 'oracle'];

/** Where 70 % of the prompts are fewer than the labels wanted, as many as 60 % of all. */
export function labelsOf(entry: Entry, labels: number): number {
  const n = entry.task.part.table.prompts.length;
  return 0.7 * n < labels ? Math.round(0.6 * n) : labels;
}

export async function measureSplits(entry: Entry, options: RankOptions): Promise<SplitMeasure[]> {
  const { part, name: source } = entry.task;
  const { prompts } = part.table;
  const groups = new Map([...new Set(prompts.map((p) => p.groupId))].sort().map((g, k) => [g, k]));
  const resamples: Resamples = {
    units: groups.size,
    replicates: options.replicates,
    seed: deriveSeed(options.seed, 'groups'),
  };
  const out: SplitMeasure[] = [];
  for (let s = 0; s < options.splits; s++) {
    const seed = deriveSeed(options.seed, `split ${s}`);
    const measure = await kept(entry, options, ['in-domain', options.labels ?? 'all', seed], async (names) => {
      const [rows] = foldRows(prompts, {
        split: 'group',
        seed,
        seen: () => false,
        ...(options.labels !== undefined && { trainPrompts: options.labels }),
      });
      const place = `${source}, split ${s + 1} of ${options.splits}`;
      const fold = await runField(entry, options, names, rows!, seed, place);
      return (
        fold &&
        measureSplit([fold], [Int32Array.from(fold.test.table.prompts, (p) => groups.get(p.groupId)!)], resamples)
      );
    });
    if (measure) out.push(measure);
  }
  return out;
}

/** Prepares and measures contenders on one fold, with the encoder that has not read the source. */
export async function runField(
  entry: Entry,
  { methods, ours, onProgress }: RankOptions,
  names: readonly string[],
  rows: FoldRows,
  seed: number,
  place: string,
): Promise<FoldResult | null> {
  const { part } = entry.task;
  const { encoder, prompts } = await entry.encoding.embedder(part.table.prompts, rows.train);
  const contenders = names.map((name) => contenderOf(name, methods, ours, encoder, entry.ease));
  return runFold(withPrompts(part, prompts), rows, contenders, {
    seed,
    onProgress: (message) => onProgress(`${place}: ${message}`),
  });
}

/**
 * What the store has of a measure, and the rest measured now.
 * @param what names the measure inside its source and run
 */
export async function kept(
  entry: Entry,
  options: RankOptions,
  what: readonly (string | number)[],
  measure: (names: readonly string[]) => Promise<SplitMeasure | null>,
): Promise<SplitMeasure | null> {
  const key = [entry.task.name, entry.pool.groupsSha256, options.replicates, options.seed, ...what].join('|');
  const known = options.store?.get(key) as SplitMeasure | undefined;
  const wanted = [...new Set([...NEEDED, ...options.names])];
  const missing = wanted.filter((name) => !known?.contenders[name] && !known?.unfit[name]);
  if (known && missing.length === 0) return known;
  const fresh = await measure([...new Set([...NEEDED, ...missing])]);
  if (fresh === null) return null;
  const both = {
    ...fresh,
    contenders: { ...known?.contenders, ...fresh.contenders },
    unfit: { ...known?.unfit, ...fresh.unfit },
  };
  options.store?.set(key, both);
  return both;
}
