/** Parts of one list that the model reads as one text: what begins in one and ends in another is found, too. */
import type { Voice } from './kinds/rules.ts';
import type { Item } from './looking.ts';
import type { Found, Guard } from './plug-in.ts';

/** Some hosts put nothing between parts, some a line's end. */
const BETWEEN = ['', '\n'];

/** Stands where nothing of a part is left: hosts refuse empty ones. */
const GONE = '[REMOVED]';

/** Parts that stand in one list and are one voice's, where there are several. */
export function listsOf(items: readonly Item[]): Item[][] {
  const lists = new Map<string, Item[]>();
  for (const item of items) {
    const { list, voice } = item.as;
    if (list === undefined) continue;
    const key = `${voice} ${list}`;
    const known = lists.get(key);
    if (known === undefined) lists.set(key, [item]);
    else known.push(item);
  }
  return [...lists.values()].filter((parts) => parts.length > 1);
}

/**
 * @param parts    as the guardrail found them, one by one, or left them where it masks
 * @param found    what it found in them one by one
 * @param isMasked what lies across a seam is taken out: its mask stands in the part where it begins
 * @returns what is found over and above
 */
export async function lookAcross(parts: Item[], found: Found, guard: Guard, isMasked: boolean): Promise<Found> {
  const extra: Record<string, number> = {};
  for (const between of BETWEEN) {
    const joined = parts.map(({ value }) => value).join(between);
    const seen = await guard.look!(joined, parts[0]!.as.voice satisfies Voice);
    if (isMasked) {
      if (seen.text === joined) continue;
      maskAcross(parts, between, joined, seen.text);
      for (const [what, count = 0] of Object.entries(seen.found)) if (count > 0) extra[what] = (extra[what] ?? 0) + 1;
      continue;
    }
    for (const [what, count = 0] of Object.entries(seen.found)) {
      const more = count - (found[what] ?? 0);
      if (more > (extra[what] ?? 0)) extra[what] = more;
    }
  }
  return extra;
}

/** All that differs lies between what is the same at both ends. */
function maskAcross(parts: readonly Item[], between: string, joined: string, masked: string): void {
  const most = Math.min(joined.length, masked.length);
  let same = 0;
  while (same < most && joined[same] === masked[same]) same++;
  let tail = 0;
  while (tail < most - same && joined[joined.length - 1 - tail] === masked[masked.length - 1 - tail]) tail++;
  const [from, to] = [same, joined.length - tail];
  let mask: string | null = masked.slice(same, masked.length - tail);
  let start = 0;
  for (const part of parts) {
    const { value } = part;
    const end = start + value.length;
    if (from <= end && to > start) {
      const before = value.slice(0, Math.max(0, from - start));
      const after = to < end ? value.slice(Math.max(0, to - start)) : '';
      const left = before + (mask ?? '') + after;
      mask = null;
      part.value = left.trim() === '' ? GONE : left;
      part.isChanged ||= part.value !== value;
    }
    start = end + between.length;
  }
}
