/** How long one routing decision takes, from request to choice, on one core. */
import { deriveSeed, seededRandom } from '../../datasets/index.ts';
import type { Router } from '../../router/index.ts';

export interface LatencyRow {
  readonly chars: number;
  readonly decisions: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * Decides `decisions` prompts of each length, every one different, one after the other.
 * The first tenth of each length warms up and is not counted.
 */
export async function decisionLatency(
  router: Router,
  options: { lengths: readonly number[]; decisions: number; seed: number },
): Promise<LatencyRow[]> {
  const rows: LatencyRow[] = [];
  for (const chars of options.lengths) {
    const random = seededRandom(deriveSeed(options.seed, `bench-${chars}`));
    const warm = Math.ceil(options.decisions / 10);
    const times = new Float64Array(options.decisions);
    for (let i = -warm; i < options.decisions; i++) {
      const messages = [{ role: 'user', content: practiceText(chars, random) }];
      const started = performance.now();
      await router.route({ messages }, { draw: 0.5 });
      if (i >= 0) times[i] = performance.now() - started;
    }
    times.sort();
    const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
    rows.push({ chars, decisions: times.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: times.at(-1)! });
  }
  return rows;
}

const WORDS =
  'the of a in to and is for that given find compute which following value number function returns list string sum integer each then when under cell energy market price law force acid index array matrix probability theorem patient state history method result because between would'.split(
    ' ',
  );

/** Words, numbers, punctuation and a little code, of exactly this many characters. */
function practiceText(chars: number, random: () => number): string {
  let text = '';
  while (text.length < chars) {
    const u = random();
    if (u < 0.8)
      text += `${WORDS[Math.floor(random() * WORDS.length)]}${Math.floor(random() * 1000) === 7 ? 'xyz' : ''} `;
    else if (u < 0.9) text += `${Math.floor(random() * 10 ** (1 + Math.floor(random() * 5)))} `;
    else if (u < 0.95) text += '. ';
    else text += `f(x${Math.floor(random() * 9)}) = y; `;
  }
  return text.slice(0, chars);
}
