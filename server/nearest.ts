/** "Did you mean …?": the known name closest to a mistyped one, for error messages. */

/** The known name nearest to `name`, or undefined when none is near enough to be a likely slip. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const wanted = name.slice(0, 200).toLowerCase();
  const tail = wanted.slice(wanted.lastIndexOf('/') + 1);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const other = candidate.toLowerCase();
    // The same model under another provider is a nearer miss than any slip of the keys.
    const otherTail = other.slice(other.lastIndexOf('/') + 1);
    const sameTail = tail !== '' && otherTail === tail;
    // A bare name is compared with bare names.
    const compared = tail === wanted ? otherTail : other;
    const distance = other === wanted ? 0 : sameTail ? 0.5 : editDistance(wanted, compared);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return bestDistance <= Math.max(2, wanted.length / 2) ? best : undefined;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min(substitution, row[j]! + 1, next[j - 1]! + 1);
    }
    row = next;
  }
  return row[b.length]!;
}
