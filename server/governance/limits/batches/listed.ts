/** What a host's list of batches says of one that nobody knows to be made: it is there, surely is not, or nobody can tell. */
import { isObject } from '../../../forward/usage.ts';

type Json = Readonly<Record<string, unknown>>;

/** Clocks differ by less. */
export const NEAR_MS = 10 * 60_000;

export interface Sought {
  readonly file: string;
  readonly madeMs: number;
}

/** Those of the list that it may be. One whose time cannot be read is taken for it. */
export function mayBe(list: Json | null, { file, madeMs }: Sought): (Json & { readonly id: string })[] {
  return entriesOf(list).filter(
    (one): one is Json & { id: string } =>
      isObject(one) && typeof one.id === 'string' && fileOf(one) === file && !(madeAt(one) < madeMs - NEAR_MS),
  );
}

/**
 * Whether a list surely has all that were made since, and none of them is of this file: it is complete, or sorted from the
 * newest on by times that can be read and reaches back far enough; and it says of each which file it is of.
 *
 * @param isElse which batches of the file are known to be others
 */
export async function surelyLacks(
  list: Json | null,
  { file, madeMs }: Sought,
  isElse: (batch: string) => Promise<boolean>,
): Promise<boolean> {
  if (!Array.isArray(list?.data)) return false;
  const entries = entriesOf(list);
  const times = entries.map((one) => (isObject(one) ? madeAt(one) : Number.NaN));
  if (!times.every(Number.isFinite)) return false;
  const isSorted = times.every((time, i) => i === 0 || time <= times[i - 1]!);
  const reachesBack = isSorted && times.length > 0 && times.at(-1)! < madeMs - NEAR_MS;
  if (list.has_more !== false && !reachesBack) return false;
  for (const one of entries as Json[]) {
    const of = fileOf(one);
    if (of === null) return false;
    // However old it says that it is: a host's clock may be wrong.
    if (of === file && (typeof one.id !== 'string' || !(await isElse(one.id)))) return false;
  }
  return true;
}

const entriesOf = (list: Json | null): readonly unknown[] => (Array.isArray(list?.data) ? list.data : []);

function fileOf({ input_file_id: file, input_files: files }: Json): string | null {
  if (typeof file === 'string') return file;
  return Array.isArray(files) && files.length === 1 && typeof files[0] === 'string' ? files[0] : null;
}

/** Milliseconds, of seconds or of what ISO 8601 writes; NaN: it cannot be read. */
export function madeAt({ created_at: at }: Json): number {
  if (typeof at === 'string') return ISO.test(at) ? Date.parse(at) : Number.NaN;
  // Some hosts count milliseconds: as seconds, those would be in 5000 years.
  return typeof at === 'number' && at > 0 ? (at < 1e11 ? 1000 * at : at) : Number.NaN;
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d.*(?:Z|[+-]\d\d:?\d\d)$/;
