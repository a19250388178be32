/** The sample of traffic survives being written down, to the bit. */
import { expect, test } from 'vitest';
import { encodeTraffic, Traffic, trafficEmbeddings } from '../../../router/policy/traffic.ts';

const embeddings = Float32Array.of(0.1, -2.5, 3e-8, 1e9, Math.fround(Math.PI), 0);
const rest = { sources: ['one'], inputTokens: [10, 20], settings: [{ tolerance: 0, optimism: 0.01 }] };

test('embeddings come back as they went in', () => {
  const traffic = Traffic.parse(JSON.parse(JSON.stringify(encodeTraffic(embeddings, rest))));
  expect(traffic.dimension).toBe(3);
  expect(trafficEmbeddings(traffic)).toEqual(embeddings);
});

test('too few numbers are called damage', () => {
  const traffic = encodeTraffic(embeddings, rest);
  expect(() => trafficEmbeddings({ ...traffic, inputTokens: [1, 2, 3] })).toThrow(
    expect.objectContaining({ code: 'ARTIFACT_DAMAGED' }),
  );
});
