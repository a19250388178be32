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

describe('a host that does not keep the bound', () => {
  test('is taken at its longest answer from then on', () => {
    const forecasts = new Forecasts();
    const bounded = expected({ inputTokens: 0, mostOutputTokens: 1 });
    const outputOf = () => forecasts.of(bounded, 0).outputTokens;
    expect(outputOf()).toBe(1);
    forecasts.learn(bounded, forecasts.of(bounded, 0), attemptOf(0.8, { outputTokens: 400 }));
    expect(outputOf()).toBe(400);
    // A short answer says nothing of what long ones are.
    for (let i = 0; i < 50; i++) forecasts.learn(bounded, forecasts.of(bounded, 0), attemptOf(0, { outputTokens: 1 }));
    expect(outputOf()).toBe(400);
    expect(forecasts.of(expected({ mostOutputTokens: 500 }), 0).outputTokens).toBe(500);
    const short = { ...price, maxOutputTokens: 20 };
    expect(forecasts.of(expected({ mostOutputTokens: 1, price: short }), 0).outputTokens).toBe(20);
  });

  test('is found out by an answer that its client cut off, too', () => {
    const forecasts = new Forecasts();
    const bounded = expected({ mostOutputTokens: 1 });
    const cut = { status: 'cancelled', inputTokens: null, outputTokens: null } as const;
    // 100 tokens of the prompt, and 300 that were seen of the answer: 0.1 + 0.6 USD.
    forecasts.learn(bounded, forecasts.of(bounded, 0), attemptOf(0.7, cut));
    expect(forecasts.of(bounded, 0).outputTokens).toBeCloseTo(300);
  });

  test('is not believed to know a field that others do not', () => {
    const unsure = expected({ mostOutputTokens: 1, isBoundSure: false });
    const forecasts = new Forecasts();
    expect(forecasts.of(unsure, 0).outputTokens).toBe(1000);
    forecasts.learn(unsure, forecasts.of(unsure, 0), attemptOf(0, { outputTokens: 200 }));
    expect(forecasts.of(unsure, 0).outputTokens).toBe(200);
    // 2 was the factor, and falls a tenth of the way to 1, since the answer was no longer than expected.
    expect(forecasts.of(unsure, 0).costUsd - forecasts.of(unsure, 0, false).costUsd).toBeCloseTo(2 * 0.2 * 1.9);
    // The field that it does know bounds its answers as before.
    expect(forecasts.of(expected({ mostOutputTokens: 1 }), 0).outputTokens).toBe(1);
    expect(new Forecasts().of(expected({ mostOutputTokens: 5000, isBoundSure: false }), 0).outputTokens).toBe(5000);
  });
});

test.each([
  ['chat', { max_tokens: 5 }, 5, 1],
  ['chat', { max_completion_tokens: 5, max_tokens: 7, n: 2 }, 7, 2],
  ['chat', { max_completion_tokens: 7, max_tokens: 5 }, 7, 1],
  ['chat', { max_output_tokens: 1, max_tokens: 9 }, 9, 1],
  ['chat', { max_output_tokens: 1 }, null, 1],
  ['chat', { max_tokens: 'many', n: -1 }, null, 1],
  ['chat', { max_tokens: 0.001, n: 1.5 }, null, 1],
  ['chat', { max_tokens: 1e300, n: 1e6 }, null, 1e6],
  ['responses', { max_output_tokens: 9, max_tokens: 1, max_completion_tokens: 1 }, 9, 1],
  ['responses', { max_tokens: 1 }, null, 1],
  ['messages', { max_tokens: 9, max_completion_tokens: 1, max_output_tokens: 1 }, 9, 1],
  ['embeddings', {}, null, 1],
] as const)('%s with %o allows answers of %s tokens, %s of them', (surface, json, mostOutputTokens, answers) => {
  expect(askedOutput(surface, json)).toEqual({ mostOutputTokens, answers });
});

test('a bound in a field that its host may not know is not sure', () => {
  const host = { knowsNewField: false };
  expect(askedOutput('chat', { max_completion_tokens: 5 }, host)).toMatchObject({ isBoundSure: false });
  for (const json of [{ max_tokens: 5 }, { max_tokens: 5, max_completion_tokens: 7 }, {}]) {
    expect(askedOutput('chat', json, host)).not.toHaveProperty('isBoundSure');
  }
  expect(askedOutput('responses', { max_output_tokens: 5 }, host)).not.toHaveProperty('isBoundSure');
});
