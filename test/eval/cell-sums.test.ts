/** Sums that are read under a thousand weightings say the same as the metrics say once. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addCellSums, type CellSum } from '../../eval/cell-sums.ts';
import { brierScore } from '../../eval/metrics/brier.ts';
import { logLoss, outcomeEntropy } from '../../eval/metrics/log-loss.ts';
import { meanRegret, regretByPrompt } from '../../eval/metrics/regret.ts';
import { arenaOptimality } from '../../eval/metrics/router-arena.ts';
import { lookUp } from '../../eval/plug-in.ts';
import { partFrom } from './fixtures.ts';

const M = 3;
const cell = fc.record({
  quality: fc.constantFrom(0, 0.5, 1),
  costUsd: fc.double({ min: 0.001, max: 1, noNaN: true }),
  predicted: fc.double({ min: 0, max: 1, noNaN: true }),
});
const row = fc.record({
  cells: fc.array(cell, { minLength: M, maxLength: M }),
  choice: fc.integer({ min: 0, max: M - 1 }),
});

test('picks, regret, Brier score and log loss are those of the metrics', () => {
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 12 }),
      fc.double({ min: 0, max: 5, noNaN: true }),
      (rows, lambda) => {
        const part = partFrom({
          name: 'x',
          prompts: rows.map((_, i) => ({ id: `p${i}`, source: 'x', benchmark: 'x', text: 'x', groupId: `g${i}` })),
          outcomes: rows.flatMap(({ cells }, i) =>
            cells.map(({ quality, costUsd }, j) => ({ promptId: `p${i}`, modelId: `m${j}`, quality, costUsd })),
          ),
          models: {},
        });
        const predicted = Float64Array.from(rows.flatMap(({ cells }) => cells.map((c) => c.predicted)));
        const chosen = Int16Array.from(rows, ({ choice }) => choice);
        const sums = new Map<CellSum, Float64Array>();
        addCellSums(
          {
            part,
            unitOf: Int32Array.from(rows, (_, i) => i),
            qualityPerUsd: lambda,
            measured: {
              frozen: {
                baselineQuality: 0,
                label: String,
                measure: () => Promise.reject(new Error('not measured')),
                points: [{ a: 0, b: 0, weight: 0, trainCostUsd: 1, trainQuality: 1 }],
              },
              measurement: { outcomes: new Map([[0, lookUp(part, chosen)]]), predicted },
            },
          },
          (name) => {
            const sum = sums.get(name) ?? new Float64Array(rows.length);
            sums.set(name, sum);
            return sum;
          },
        );
        const total = (name: CellSum) => sums.get(name)!.reduce((a, b) => a + b, 0);
        const close = (own: number, theirs: number | null) => expect(own).toBeCloseTo(theirs ?? Number.NaN, 9);

        const quality = Float64Array.from(part.table.quality);
        const pool = { quality, costUsd: part.costUsd, modelCount: M };
        const arena = arenaOptimality(pool, Int32Array.from(chosen));
        expect(total('solvable')).toBe(arena.solvable);
        if (arena.solvable > 0) {
          close(total('optimalPicks') / total('solvable'), arena.optSel);
          close(total('solvableQuality') / total('solvable'), arena.optAcc);
        }
        if (total('rightCost') > 0) close(total('rightOptimalCost') / total('rightCost'), arena.optCost);
        else expect(arena.optCost).toBeNull();
        close(total('regret') / rows.length, meanRegret(regretByPrompt(pool, Int32Array.from(chosen), lambda)));
        close(total('squaredError') / total('cells'), brierScore(predicted, quality));
        close(total('logLoss') / total('cells'), logLoss(predicted, quality));
        close(total('entropy') / total('cells'), outcomeEntropy(quality));
        close(
          total('chosenForecast') / total('chosen'),
          rows.reduce((s, r) => s + r.cells[r.choice]!.predicted, 0) / rows.length,
        );
      },
    ),
  );
});
