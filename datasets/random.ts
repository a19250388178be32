/** Seeded randomness and stable hashes: same seed, same numbers, on every machine. */

/** A stream of uniform numbers in [0, 1). */
export type Random = () => number;

/**
 * Seeded uniform generator, period 2^32: good for sampling and shuffles, not for secrets.
 * @see Tommy Ettinger, mulberry32 (public domain)
 */
export function seededRandom(seed: number): Random {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A seed for a named purpose, so that two uses of one seed do not share their stream. */
export const deriveSeed = (seed: number, purpose: string): number => hash32(purpose, seed >>> 0);

/** 32-bit FNV-1a over UTF-16 code units, then mixed so that its low bits are uniform too. */
export function hash32(text: string, seed = 0): number {
  let h = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  }
  return mix32(h);
}

/** Murmur3's finaliser: every input bit changes every output bit with probability near 1/2. */
export function mix32(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Stable position of a text in [0, 1), the same on every machine: for splits by hash. */
export const hashFraction = (text: string, seed = 0): number => hash32(text, seed) / 4294967296;

/** A new array in random order (Fisher–Yates). */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

/** A standard normal draw (Box–Muller). */
export function normal(random: Random): number {
  const u = 1 - random();
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * random());
}
