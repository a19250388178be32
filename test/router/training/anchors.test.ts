import { describe, expect, test } from 'vitest';
import { normal, seededRandom, shuffled } from '../../../datasets/index.ts';
import { predictHeads, selectHeads } from '../../../router/heads/heads.ts';
import { chooseAnchors } from '../../../router/training/anchors.ts';
import { fitHeads } from '../../../router/training/fit-heads.ts';
import { onboardModel } from '../../../router/training/onboard.ts';
import { irtWorld, sigmoid } from '../fixtures.ts';

const D = 6;
const world = irtWorld({
  n: 2000,
  models: {
    'm/a': { ability: -1.5, slope: 0.6 },
    'm/b': { ability: -0.5, slope: 1.4 },
    'm/c': { ability: 0.5, slope: 0.8 },
    'm/d': { ability: 1.5, slope: 1.2 },
  },
  ease: 1.5,
  seed: 1,
});
const heads = fitHeads(world.table, world.z, 1).heads;

/** Prompts of which most are alike: what real traffic looks like. */
function traffic(n: number, seed: number): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: n * D }, () => normal(random) * (random() < 0.8 ? 0.3 : 1.5));
}
const alone = (n: number): string[] => Array.from({ length: n }, (_, i) => `g${i}`);

describe('anchors', () => {
  test('teach more of how a new model does on each kind of prompt than as many drawn by lot, on average', () => {
    const n = 400;
    const count = 30;
    let byAnchors = 0;
    let byLot = 0;
    for (let world = 0; world < 40; world++) {
      const random = seededRandom(500 + world);
      // Nine in ten prompts are easy and much alike; the others are of every difficulty.
      const z = Float32Array.from({ length: n * D }, (_, at) =>
        Math.floor(at / D) % 10 > 0 ? (at % D === 0 ? 1.2 : 0) + 0.2 * normal(random) : 1.2 * normal(random),
      );
      const [ability, slope] = [1 + normal(random), 1.5 * (0.4 + 1.2 * random())];
      const truth = Float64Array.from({ length: n }, (_, i) => sigmoid(ability + slope * z[i * D]!));
      const quality = truth.map((p) => (random() < p ? 1 : 0));
      const error = (rows: readonly number[]): number => {
        const labelled = onboardModel(heads, {
          modelId: 'new/x',
          z: Float32Array.from(rows.flatMap((i) => [...z.subarray(i * D, i * D + D)])),
          quality: rows.map((i) => quality[i]!),
        });
        const p = predictHeads(selectHeads(labelled, ['new/x']), z, n).quality;
        const mean = (kind: (i: number) => boolean): number => {
          const own = [...truth.keys()].filter(kind);
          return own.reduce((sum, i) => sum + (truth[i]! - p[i]!) ** 2, 0) / own.length;
        };
        return mean((i) => i % 10 > 0) / 2 + mean((i) => i % 10 === 0) / 2;
      };
      byAnchors += error(chooseAnchors(heads, z, alone(n), count).map((a) => a.row)) / 40;
      for (let draw = 0; draw < 5; draw++) {
        byLot += error(shuffled([...alone(n).keys()], random).slice(0, count)) / 200;
      }
    }
    expect(byAnchors).toBeLessThan(0.9 * byLot);
  });

  test('cover: of three heaps of prompts the first picks take one each', () => {
    const random = seededRandom(4);
    const heap = (i: number): number => (i < 200 ? 0 : i < 230 ? 1 : 2);
    const z = Float32Array.from({ length: 260 * D }, (_, at) => {
      const own = heap(Math.floor(at / D));
      return (at % D === own ? 3 : 0) + 0.3 * normal(random);
    });
    const picks = chooseAnchors(heads, z, alone(260), 5);
    expect(new Set(picks.map((a) => heap(a.row))).size).toBe(3);
  });

  test('discriminate: those picks lie further out on what the models differ in than the average prompt', () => {
    const z = traffic(500, 7);
    const out = (i: number): number => Math.abs(z[i * D]!);
    const picks = chooseAnchors(heads, z, alone(500), 50).filter((a) => a.why === 'discrimination');
    const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;
    expect(picks.length).toBe(10);
    expect(mean(picks.map((a) => out(a.row)))).toBeGreaterThan(1.5 * mean(alone(500).map((_, i) => out(i))));
  });

  test('take each group once, as many as there are, and the same ones every time, the first of more being those of fewer', () => {
    const z = traffic(60, 3);
    const groups = alone(60).map((_, i) => `g${i % 20}`);
    const all = chooseAnchors(heads, z, groups, 100);
    expect(all.length).toBe(20);
    expect(new Set(all.map((a) => groups[a.row])).size).toBe(20);
    expect(chooseAnchors(heads, z, groups, 8)).toEqual(all.slice(0, 8));
    expect(chooseAnchors(heads, new Float32Array(0), [], 5)).toEqual([]);
  });

  test('are picked from thousands of prompts, of which a part stands for all', () => {
    const picks = chooseAnchors(heads, traffic(5000, 9), alone(5000), 20);
    expect(new Set(picks.map((a) => a.row)).size).toBe(20);
  });
});
