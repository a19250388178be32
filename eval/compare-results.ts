/** Two results of one task, side by side: what a change did to each router. */
import { existsSync, readFileSync } from 'node:fs';
import { RoutingError } from '../datasets/index.ts';
import { PLAIN } from '../datasets/plain-issues.ts';
import type { FigureName } from './figures.ts';
import { percentileInterval } from './metrics/bootstrap.ts';
import type { Estimate, Evaluation } from './result.ts';
import { EvaluationSchema } from './result-schema.ts';

/** Figures whose change is shown. */
export const COMPARED: readonly FigureName[] = [
  'aiq',
  'aiqMinusZero',
  'promisedSaving98',
  'keptQuality98',
  'ece',
  'brier',
];

/** Packs the resamples of the compared figures: 32-bit floats, little-endian, in base64. */
export const packReplicates = (replicates: Readonly<Record<FigureName, Float64Array>>): Record<string, string> =>
  Object.fromEntries(
    COMPARED.map((figure) => {
      const bytes = Buffer.alloc(4 * replicates[figure].length);
      replicates[figure].forEach((x, r) => {
        bytes.writeFloatLE(x, 4 * r);
      });
      return [figure, bytes.toString('base64')];
    }),
  );

function unpack(text: string | undefined): Float64Array {
  const bytes = Buffer.from(text ?? '', 'base64');
  return Float64Array.from({ length: Math.floor(bytes.length / 4) }, (_, r) => bytes.readFloatLE(4 * r));
}

export interface Change {
  readonly router: string;
  readonly figure: FigureName;
  readonly before: Estimate;
  readonly now: Estimate;
  /** now − before; null where one of them is undefined. Its interval, where both runs kept their resamples. */
  readonly difference: Estimate;
}

export interface ResultComparison {
  readonly changes: readonly Change[];
  /** Routers that only one of the two has. */
  readonly onlyBefore: readonly string[];
  readonly onlyNow: readonly string[];
}

/**
 * Reads what `--json` wrote.
 * @throws `MISSING_FILE`, `MALFORMED_JSON`, `INVALID_ROW` naming the field, when it is none
 */
export function readResult(path: string): Evaluation {
  if (!existsSync(path)) {
    throw new RoutingError('MISSING_FILE', `${path}: no such file; write one with pointsman eval … --json > ${path}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new RoutingError('MALFORMED_JSON', `${path}: not JSON (${(cause as Error).message})`, { cause });
  }
  const parsed = EvaluationSchema.safeParse(value, PLAIN);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new RoutingError(
    'INVALID_ROW',
    `${path}: field ${issue.path.join('.') || '(file)'}: ${issue.message}; it is not what this version writes with --json`,
  );
}

/** @throws `INVALID_CONFIG` where a result is not of the task of this hash */
export function checkComparable({ taskHash }: Evaluation, now: string): void {
  if (taskHash === now) return;
  throw new RoutingError(
    'INVALID_CONFIG',
    `the two results are of different tasks (${taskHash.slice(0, 12)} before, ${now.slice(0, 12)} now): other prompts, ` +
      'prices, split, models, operating points, baseline or number of resamples. Run both with the same --task FILE',
  );
}

/**
 * @throws `INVALID_CONFIG` where the two are of different tasks: their figures must not be subtracted
 */
export function compareResults(before: Evaluation, now: Evaluation): ResultComparison {
  checkComparable(before, now.taskHash);
  const named = new Map(before.routers.map((r) => [r.name, r]));
  const changes = now.routers.flatMap((r) => {
    const old = named.get(r.name);
    if (!old || r.kind === 'hindsight') return [];
    return COMPARED.flatMap((figure): Change[] => {
      const [a, b] = [old.metrics[figure], r.metrics[figure]];
      // A baseline does not change under the same task; if it did, that is worth a line.
      if (r.kind === 'baseline' && a.value === b.value) return [];
      if (a.value === null && b.value === null) return [];
      return [
        {
          router: r.name,
          figure,
          before: a,
          now: b,
          difference: differenceOf(a, b, old.replicates?.[figure], r.replicates?.[figure]),
        },
      ];
    });
  });
  const names = (e: Evaluation) => e.routers.map(({ name }) => name);
  return {
    changes,
    onlyBefore: names(before).filter((name) => !names(now).includes(name)),
    onlyNow: names(now).filter((name) => !named.has(name)),
  };
}

/** Resamples of one task and seed draw the same groups, so they are subtracted one by one: what both share cancels. */
function differenceOf(a: Estimate, b: Estimate, before: string | undefined, now: string | undefined): Estimate {
  const value = a.value === null || b.value === null ? null : b.value - a.value;
  const [x, y] = [unpack(before), unpack(now)];
  if (value === null || x.length === 0 || x.length !== y.length) return { value, low: null, high: null };
  return { value, ...percentileInterval(y.map((v, r) => v - x[r]!)) };
}
