/** Ranks methods on a source by group split: 30 % of the groups tested, settings frozen on the rest, many times over. */
import { deriveSeed } from '../../datasets/index.ts';
import { runFold } from '../fold.ts';
import { foldRows } from '../split.ts';
import { type Entry, withPrompts } from './entry.ts';
import { ALWAYS, contenderOf, type Methods } from './field.ts';
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
  get(key: string): SplitMeasure | undefined;
  set(key: string, measure: SplitMeasure): void;
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
    const labels = options.labels ?? 'all';
    const key = [source, entry.pool.groupsSha256.slice(0, 12), 'in-domain', labels, options.replicates, seed].join('|');
    const kept = options.store?.get(key);
    const wanted = [...new Set([...NEEDED, ...options.names])];
    const missing = wanted.filter((name) => !kept?.contenders[name] && !kept?.unfit[name]);
    if (kept && missing.length === 0) {
      out.push(kept);
      continue;
    }
    const [rows] = foldRows(prompts, {
      split: 'group',
      seed,
      seen: () => false,
      ...(options.labels !== undefined && { trainPrompts: options.labels }),
    });
    const { encoder, prompts: encoded } = await entry.encoding.embedder(prompts, rows!.train);
    const run = [...new Set([...NEEDED, ...missing])];
    const fold = await runFold(
      withPrompts(part, encoded),
      rows!,
      run.map((name) => contenderOf(name, options.methods, options.ours, encoder, entry.ease)),
      {
        seed,
        onProgress: (message) => options.onProgress(`${source}, split ${s + 1} of ${options.splits}: ${message}`),
      },
    );
    if (fold === null) continue;
    const unitOf = Int32Array.from(fold.test.table.prompts, (p) => groups.get(p.groupId)!);
    const fresh = measureSplit([fold], [unitOf], resamples);
    const measure: SplitMeasure = {
      ...fresh,
      contenders: { ...kept?.contenders, ...fresh.contenders },
      unfit: { ...kept?.unfit, ...fresh.unfit },
    };
    options.store?.set(key, measure);
    out.push(measure);
  }
  return out;
}

/** Methods first, then the rows that are always shown. */
export const fieldOf = (methods: readonly string[], controls: readonly string[]): string[] => [
  ...methods,
  ...controls,
  ...ALWAYS,
];
