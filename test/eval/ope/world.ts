/** Logs of a world whose truth is known: every model's chance of a good answer on every prompt, all but one of them hidden. */
import { normal, seededRandom } from '../../../datasets/index.ts';
import type { LoggedPolicy } from '../../../eval/ope/judge.ts';
import type { LoggedRow } from '../../../eval/ope/logged-row.ts';

export const MODELS = ['a', 'b', 'c', 'd', 'e'];
const m = MODELS.length;

/** Full information: prompts in sessions, with what a router sees of them. */
export interface World {
  readonly prompts: number;
  readonly perSession: number;
  /** prompts × m: chance of a good answer. */
  readonly chance: Float64Array;
  /** prompts × m: probability under the policy that logs. */
  readonly logging: Float64Array;
  /** prompts × m: probability under the policy to be judged. */
  readonly target: Float64Array;
}

/** Models of rising strength; a router sees their logits through noise. */
export function makeWorld(seed: number, prompts: number, epsilon: number): World {
  const random = seededRandom(seed);
  const chance = new Float64Array(prompts * m);
  const seen = new Float64Array(prompts * m);
  for (let i = 0; i < prompts; i++) {
    const difficulty = 1.2 * normal(random);
    for (let j = 0; j < m; j++) {
      const logit = 1.2 - 0.35 * (m - 1 - j) - difficulty + 0.7 * normal(random);
      chance[i * m + j] = 1 / (1 + Math.exp(-logit));
      seen[i * m + j] = logit + 0.8 * normal(random);
    }
  }
  return { prompts, perSession: 2, chance, ...loggingOdds(seen, epsilon) };
}

/**
 * The log is a softmax over what the router sees, with a liking for the weaker and cheaper models, mixed with
 * `epsilon` of uniform; judged is the best by what is seen.
 */
export function loggingOdds(seen: Float64Array, epsilon: number): Pick<World, 'logging' | 'target'> {
  const logging = new Float64Array(seen.length);
  const target = new Float64Array(seen.length);
  for (let at = 0; at < seen.length; at += m) {
    const odds = Array.from(seen.subarray(at, at + m), (s, j) => Math.exp(2 * (s + 0.5 * (m - 1 - j))));
    const sum = odds.reduce((a, b) => a + b);
    for (let j = 0; j < m; j++) logging[at + j] = epsilon / m + ((1 - epsilon) * odds[j]!) / sum;
    target[at + seen.subarray(at, at + m).indexOf(Math.max(...seen.subarray(at, at + m)))] = 1;
  }
  return { logging, target };
}

/** Mean chance of a good answer under a policy. */
export function truth({ chance, prompts }: World, policy: Float64Array): number {
  return policy.reduce((sum, p, at) => sum + p * chance[at]!, 0) / prompts;
}

/** Sessions drawn with replacement; of every prompt one answer, the others hidden. `prompt` is its number in the world. */
export function hideAllButOne(
  { prompts, perSession, chance, logging }: World,
  rows: number,
  seed: number,
): (LoggedRow & { readonly prompt: number })[] {
  const random = seededRandom(seed);
  const log: (LoggedRow & { readonly prompt: number })[] = [];
  while (log.length < rows) {
    const first = Math.floor((random() * prompts) / perSession) * perSession;
    const session = `s${log.length}`;
    for (let prompt = first; prompt < first + perSession; prompt++) {
      const p = logging.subarray(prompt * m, (prompt + 1) * m);
      let j = 0;
      for (let u = random() - p[0]!; u >= 0 && j < m - 1; u -= p[j]!) j++;
      log.push({
        id: `r${log.length}`,
        session,
        sampled: MODELS[j]!,
        propensity: p[j]!,
        distribution: Object.fromEntries(MODELS.map((model, k) => [model, p[k]!])),
        quality: random() < chance[prompt * m + j]! ? 1 : 0,
        prompt,
      });
    }
  }
  return log;
}

export const policyOf = (name: string, probabilities: Float64Array): LoggedPolicy => ({
  name,
  probabilities: (row) => {
    const { prompt } = row as LoggedRow & { readonly prompt: number };
    return Object.fromEntries(MODELS.map((model, j) => [model, probabilities[prompt * m + j]!]));
  },
});
