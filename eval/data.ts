/** The outcomes to evaluate on: folders, files, public datasets by name, or the replay bundle that is shipped. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import {
  type Dataset,
  evaluationOnly,
  type ImportOptions,
  RoutingError,
  readDataset,
  readOutcomes,
} from '../datasets/index.ts';
import { PLAIN } from '../datasets/plain-issues.ts';
import { resolveDataset } from '../datasets/sources/index.ts';
import type { LoadSource } from './routers.ts';

export interface EvaluationData {
  readonly dataset: Dataset;
  /** What was found, assumed or left out while reading, in sentences. */
  readonly notes: readonly string[];
  /** A folder whose licence allows no fitting; absent where there is none. */
  readonly evaluationOnly?: string;
  /** The encoder of the embeddings in place of texts, where a folder holds such. */
  readonly encoderId?: string;
}

/** Prompts of nobody's training part with embeddings in place of text, so that a fresh clone can evaluate. */
export const defaultReplayDir = (): string =>
  join(dirname(fileURLToPath(import.meta.url)), '..', 'datasets', 'replays', 'default');

/**
 * Reads and merges folders of outcomes, files of outcomes and public datasets that were fetched; without any the
 * shipped replay bundle.
 * @param paths folders, files, or names of `pointsman datasets list`
 * @throws `MISSING_FILE` and the other errors of {@link readOutcomes}; `ARTIFACT_MISMATCH` for two encoders
 */
export async function readEvaluationData(
  paths: readonly string[],
  options: ImportOptions = {},
): Promise<EvaluationData> {
  if (paths.length === 0) {
    const dir = defaultReplayDir();
    if (!existsSync(dir)) {
      throw new RoutingError(
        'MISSING_FILE',
        `the shipped replay bundle is not at ${dir}; name your data with --data DIR`,
      );
    }
    return withEncoder({ ...(await readDataset(dir)), name: 'shipped replay bundle' }, [dir], []);
  }
  const places = paths.map((path) => resolveDataset(path));
  const { notes, ...dataset } = await readOutcomes(places, options);
  const onlyEvaluated: string[] = [];
  for (const place of places) if (isFolder(place) && (await evaluationOnly(place))) onlyEvaluated.push(place);
  return {
    ...withEncoder(dataset, places.filter(isFolder), notes),
    ...(onlyEvaluated[0] && { evaluationOnly: onlyEvaluated[0] }),
  };
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** The same loader, refusing artifacts whose encoder did not make the embeddings of the data. */
export function matching(load: LoadSource, encoderId: string | undefined): LoadSource {
  if (encoderId === undefined) return load;
  return async (path) => {
    const source = await load(path);
    if (source.encoderId !== encoderId) {
      throw new RoutingError(
        'ARTIFACT_MISMATCH',
        `the data holds embeddings of encoder ${encoderId} instead of texts, but ${path ?? 'the shipped artifact'} ` +
          `has encoder ${source.encoderId}; evaluate it on data with texts (--data DIR)`,
      );
    }
    return source;
  };
}

const EncoderFile = z.object({ encoderId: z.string() });

function withEncoder(dataset: Dataset, dirs: readonly string[], notes: readonly string[]): EvaluationData {
  const ids = new Set<string>();
  for (const dir of dirs) {
    const path = join(dir, 'encoder.json');
    if (!existsSync(path)) continue;
    let value: unknown;
    try {
      value = JSON.parse(readFileSync(path, 'utf8'));
    } catch (cause) {
      throw new RoutingError('MALFORMED_JSON', `${path}: not JSON`, { cause });
    }
    const parsed = EncoderFile.safeParse(value, PLAIN);
    if (!parsed.success) throw new RoutingError('INVALID_ROW', `${path}: ${parsed.error.issues[0]!.message}`);
    ids.add(parsed.data.encoderId);
  }
  if (ids.size > 1) {
    throw new RoutingError(
      'ARTIFACT_MISMATCH',
      `the folders hold embeddings of several encoders: ${[...ids].join(', ')}`,
    );
  }
  const [encoderId] = ids;
  return { dataset, notes, ...(encoderId !== undefined && { encoderId }) };
}
