/** Where a dataset folder came from, and whether anything may be learned from it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { RoutingError } from './errors.ts';
import { PLAIN } from './plain-issues.ts';

/** `source.json` of a fetched dataset. */
export const FetchedSource = z.object({
  name: z.string().min(1),
  /** Commit that the files were taken from; null where upstream did not say. */
  revision: z.string().nullable(),
  licence: z.string(),
  citation: z.string(),
  /** Why nothing may be learned from it; null where that is allowed. A bare true refuses as well. */
  evaluationOnly: z.union([z.string(), z.boolean()]).nullable(),
  files: z.array(z.object({ url: z.string(), bytes: z.number(), sha256: z.string() })),
  fetchedAt: z.string(),
});
export type FetchedSource = z.infer<typeof FetchedSource>;

/**
 * @returns null for a folder without `source.json`: nobody said where it is from
 * @throws `MALFORMED_JSON`, `INVALID_ROW`
 */
export function readFetchedSource(dir: string): FetchedSource | null {
  const path = join(dir, 'source.json');
  if (!existsSync(path)) return null;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new RoutingError('MALFORMED_JSON', `${path}: not JSON (${(cause as Error).message})`, { cause });
  }
  const parsed = FetchedSource.safeParse(value, PLAIN);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new RoutingError('INVALID_ROW', `${path}: field ${issue.path.join('.')}: ${issue.message}`);
}

/** Whether nothing may be learned from what lies in this folder. @throws what {@link readFetchedSource} throws */
export async function evaluationOnly(dir: string): Promise<boolean> {
  return Boolean(readFetchedSource(dir)?.evaluationOnly);
}

/**
 * Refuses a folder for anything that learns: training, a new model's row, a choice of what to label.
 * @throws `EVALUATION_ONLY`, with the rule, and what {@link readFetchedSource} throws
 */
export function refuseForTraining(dir: string): void {
  const source = readFetchedSource(dir);
  if (!source?.evaluationOnly) return;
  const rule = typeof source.evaluationOnly === 'string' ? source.evaluationOnly : source.licence;
  throw new RoutingError(
    'EVALUATION_ONLY',
    `${dir}: ${source.name} may be used to evaluate, not to learn from: ${rule}. Leave it out here; pointsman eval --data takes it`,
  );
}
