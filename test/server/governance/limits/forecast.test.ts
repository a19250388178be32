/** What is set aside for a call: rather too much than too little. */
import { describe, expect, test } from 'vitest';
import { askedOutput, Forecasts } from '../../../../server/governance/limits/forecast.ts';
import { attemptOf, expecting } from './hosts.ts';

/** USD 1 a thousand tokens of input, 2 of output. */
const price = { inputUsdPerMTok: 1000, outputUsdPerMTok: 2000 };
const expected = (more: object) =>
  expecting(0, { inputTokens: 100, outputTokens: 0, mostOutputTokens: null, price, ...more });

describe('the cost', () => {
  test('of a named model is that of the longest answer the client allows', () => {
    // (100 · 2 + 16 + 2 · 50) / 1 000: an estimate of the prompt may be too low by 2, and 16 tokens of framing come on top.
    expect(new Forecasts().of(expected({ mostOutputTokens: 50 }), 0).costUsd).toBeCloseTo(0.316);
    expect(new Forecasts().of(expected({ mostOutputTokens: 50, answers: 3 }), 0).costUsd).toBeCloseTo(0.516);
    const short = { ...price, maxOutputTokens: 20 };
    expect(new Forecasts().of(expected({ mostOutputTokens: 50, price: short }), 0).costUsd).toBeCloseTo(0.256);
  });

  test('of auto is what the router predicts, by as much higher as its predictions were too low of late', () => {
    const forecasts = new Forecasts();
    const auto = expected({ outputTokens: 10 });
    const of = () => forecasts.of(auto, 0).costUsd;
    // (216 + 2 · 10 · 2) / 1 000
    expect(of()).toBeCloseTo(0.256);
    // Five times as long as predicted: at once. The prompt was as estimated: 2 falls a tenth of the way to 1.
    forecasts.learn(auto, forecasts.of(auto, 0), attemptOf(0.1, { inputTokens: 116, outputTokens: 50 }));
    expect(of()).toBeCloseTo((100 * 1.9 + 16 + 2 * 10 * 5) / 1000);
    for (let i = 0; i < 200; i++) {
      forecasts.learn(auto, forecasts.of(auto, 0), attemptOf(0.1, { inputTokens: 116, outputTokens: 10 }));
    }
    expect(of()).toBeCloseTo((116 + 20) / 1000);
    // Never by more than ten.
    forecasts.learn(auto, forecasts.of(auto, 0), attemptOf(0.1, { inputTokens: 116, outputTokens: 5000 }));
    expect(of()).toBeCloseTo((116 + 2 * 10 * 10) / 1000);
    // Nor by more than the client allows.
    expect(forecasts.of(expected({ outputTokens: 10, mostOutputTokens: 30 }), 0).costUsd).toBeCloseTo(
      (116 + 60) / 1000,
    );
  });

  test('counts characters where nobody counted tokens, and no answer where there is none', () => {
    expect(new Forecasts().of(expected({ inputTokens: 0 }), 402, false)).toMatchObject({
      tokens: 101,
      outputTokens: 0,
    });
  });

  test('without a price is the mean of what the provider told', () => {
    const forecasts = new Forecasts();
    const unpriced = expected({ price: null });
    expect(forecasts.of(unpriced, 0).costUsd).toBe(0);
    forecasts.learn(unpriced, forecasts.of(unpriced, 0), attemptOf(0.5, { outputTokens: null }));
    expect(forecasts.of(unpriced, 0).costUsd).toBe(0.5);
  });
});

test.each([
  [{ max_tokens: 5 }, 5, 1],
  [{ max_completion_tokens: 7, max_tokens: 5, n: 2 }, 7, 2],
  [{ max_output_tokens: 9 }, 9, 1],
  [{ max_tokens: 'many', n: -1 }, null, 1],
  [{ max_tokens: 1e300, n: 1e6 }, null, 128],
  [{}, null, 1],
])('%o allows answers of %s tokens, %s of them', (json, mostOutputTokens, answers) => {
  expect(askedOutput(json)).toEqual({ mostOutputTokens, answers });
});
