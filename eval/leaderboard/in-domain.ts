/** Ranks methods on a source by group split: 30 % of the groups tested, settings frozen on the rest, many times over. */
import { deriveSeed } from '../../datasets/index.ts';
import { type FoldResult, runFold } from '../fold.ts';
import { measureVariant, variantsOf } from '../sensitivity.ts';
import { type FoldRows, foldRows } from '../split.ts';
import { type Entry, withPrompts } from './entry.ts';
import { contenderOf, type Methods } from './field.ts';
import { measureSplit, type OtherLead, type Resamples, type SplitMeasure } from './measure.ts';

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
      const field = await fieldOf(entry, options, names, rows!);
      const run = { seed, onProgress: (message: string) => options.onProgress(`${place}: ${message}`) };
      const fold = await runFold(field.part, rows!, field.contenders, run);
      if (!fold) return null;
      const measureOf = (one: FoldResult) =>
        measureSplit([one], [Int32Array.from(one.test.table.prompts, (p) => groups.get(p.groupId)!)], resamples);
      const sensitivity: Record<string, OtherLead> = {};
      if (names.includes(options.ours)) {
        const again = field.contenders.filter(({ name }) => name === options.ours || NEEDED.includes(name));
        for (const variant of variantsOf([fold], entry.task.hiddenReasoningIncluded)) {
          const changed = await measureVariant(variant, [fold], again, { seed });
          const lead = changed && leadOf(measureOf(changed[0]!), options.ours);
          if (lead) sensitivity[variant.analysis] = lead;
        }
      }
      return { ...measureOf(fold), sensitivity };
    });
    if (measure) out.push(measure);
  }
  return out;
}

/** Prepares and measures contenders on one fold, with the encoder that has not read the source. */
export async function runField(
  entry: Entry,
  options: RankOptions,
  names: readonly string[],
  rows: FoldRows,
  seed: number,
  place: string,
): Promise<FoldResult | null> {
  const { part, contenders } = await fieldOf(entry, options, names, rows);
  return runFold(part, rows, contenders, {
    seed,
    onProgress: (message) => options.onProgress(`${place}: ${message}`),
  });
}

/** Contenders over the encoder that has not read the source, and the source's part with its embeddings. */
async function fieldOf(entry: Entry, { methods, ours }: RankOptions, names: readonly string[], rows: FoldRows) {
  const { part } = entry.task;
  const { encoder, prompts } = await entry.encoding.embedder(part.table.prompts, rows.train);
  const contenders = names.map((name) => contenderOf(name, methods, ours, encoder, entry.ease));
  return { part: withPrompts(part, prompts), contenders };
}

/** AIQ minus the zero router's, as it is and under each resample; null where it is not defined. */
function leadOf({ contenders }: SplitMeasure, ours: string): OtherLead | null {
  const [own, zero] = [contenders[ours], contenders.zero];
  if (own?.aiq == null || zero?.aiq == null) return null;
  return { value: own.aiq - zero.aiq, replicates: own.replicates.map((x, r) => x - zero.replicates[r]!) };
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
    sensitivity: { ...known?.sensitivity, ...fresh.sensitivity },
  };
  options.store?.set(key, both);
  return both;
}
