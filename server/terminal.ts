/** Text on a terminal: lines as long as there is room, names as long as their column. */

/**
 * Text in lines, each under the first.
 * @param before what the first begins with
 * @param room characters of a line; undefined: any number, as for a file
 */
export function filled(before: string, text: string, room: number | undefined): string[] {
  if (room === undefined) return [`${before}${text}`];
  const lines = [before];
  for (const word of text.split(' ')) {
    const last = lines.at(-1)!;
    const isFresh = last.length === before.length;
    if (!isFresh && last.length + 1 + word.length > room) lines.push(`${' '.repeat(before.length)}${word}`);
    else lines[lines.length - 1] = `${last}${isFresh ? '' : ' '}${word}`;
  }
  return lines;
}

/** An id of a model in no more than `width` characters. Both ends are kept: the provider, and what tells the model from its neighbours. */
export function shortened(id: string, width: number): string {
  if (id.length <= width) return id;
  const end = Math.ceil(((width - 1) * 2) / 3);
  return `${id.slice(0, width - 1 - end)}…${id.slice(-end)}`;
}
