/** In which order a replay meets the prompts: by the time they carry, as the rows stand, or groups at random. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import {
  deriveSeed,
  type Prompt,
  RoutingError,
  readNumberedJsonl,
  seededRandom,
  shuffled,
} from '../../datasets/index.ts';

export const ORDERS = ['time', 'rows', 'shuffle'] as const;
export type ReplayOrder = (typeof ORDERS)[number];

const Timed = z.object({
  id: z.string().min(1),
  /** When the prompt was asked: a date in ISO 8601, or milliseconds since 1970. */
  at: z.union([z.string(), z.number()]).optional(),
});

/**
 * Prompt id → milliseconds since 1970, of the prompts that carry `at`; other readers do not know the field.
 * @throws `INVALID_ROW` naming file and line of a time that is none
 */
export async function readTimes(dirs: readonly string[]): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  for (const dir of dirs) {
    const path = ['prompts.jsonl.gz', 'prompts.jsonl'].map((name) => join(dir, name)).find((p) => existsSync(p));
    if (path === undefined) continue;
    for await (const { row, line } of readNumberedJsonl(path, Timed)) {
      if (row.at === undefined) continue;
      const time = typeof row.at === 'number' ? row.at : Date.parse(row.at);
      if (!Number.isFinite(time)) {
        throw new RoutingError(
          'INVALID_ROW',
          `${path}:${line}: field at: "${row.at}" is no date; write 2026-05-01T09:30:00Z or milliseconds since 1970`,
        );
      }
      times.set(row.id, time);
    }
  }
  return times;
}

/**
 * Rows in the order in which they are met.
 * - `time`: by `at`; what has the same time stays as it stood
 * - `rows`: as the rows stand
 * - `shuffle`: groups in an order fixed by the seed; prompts of one group one after the other
 *
 * @param order undefined: `time` where every prompt carries one, else `shuffle`
 * @throws `INVALID_CONFIG` for `time` where a prompt carries none
 */
export function orderRows(
  prompts: readonly Prompt[],
  times: ReadonlyMap<string, number>,
  order: ReplayOrder | undefined,
  seed: number,
): { order: ReplayOrder; rows: number[]; times: Float64Array | null } {
  const rows = prompts.map((_, i) => i);
  const without = prompts.find(({ id }) => !times.has(id));
  const chosen = order ?? (without === undefined ? 'time' : 'shuffle');
  if (chosen === 'rows') return { order: chosen, rows, times: null };
  if (chosen === 'time') {
    if (without !== undefined) {
      throw new RoutingError(
        'INVALID_CONFIG',
        `--order time: prompt ${without.id} has no field "at"; add it to prompts.jsonl, or use --order rows or shuffle`,
      );
    }
    const time = (i: number) => times.get(prompts[i]!.id)!;
    rows.sort((a, b) => time(a) - time(b) || a - b);
    return { order: chosen, rows, times: Float64Array.from(rows, time) };
  }
  const members = new Map<string, number[]>();
  for (const i of rows) members.set(prompts[i]!.groupId, [...(members.get(prompts[i]!.groupId) ?? []), i]);
  const groups = shuffled([...members.keys()].sort(), seededRandom(deriveSeed(seed, 'replay-order')));
  return { order: chosen, rows: groups.flatMap((g) => members.get(g)!), times: null };
}
