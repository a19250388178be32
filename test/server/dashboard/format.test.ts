import { expect, test } from 'vitest';

const part = (name: string) => import(new URL(`../../../server/dashboard/parts/${name}.js`, import.meta.url).href);
const { ago, count, duration, percent, points, ratio, signedUsd, times, usd, usdAlike } = await part('format');

test.each([
  [0, '$0'],
  [0.000123, '$0.00012'],
  [0.0042, '$0.0042'],
  [0.5, '$0.50'],
  [12.345, '$12.35'],
  [1234.5, '$1,235'],
  [2_340_000, '$2.34M'],
  [-0.0042, '\u2212$0.0042'],
  [1e-12, '<$0.0000001'],
  [null, '\u2013'],
  [Number.NaN, '\u2013'],
  [undefined, '\u2013'],
])('%s USD reads %s', (value, text) => {
  expect(usd(value)).toBe(text);
});

test('shares, points and signs', () => {
  expect(percent(0.1234)).toBe('12.3 %');
  expect(percent(-0.00001)).toBe('0.0 %');
  expect(percent(-0.25, 0)).toBe('\u221225 %');
  expect(percent(null)).toBe('\u2013');
  expect(points(-0.0123)).toBe('\u22121.2 points');
  expect(points(0.02)).toBe('+2.0 points');
  expect(signedUsd(2)).toBe('+$2.00');
  expect(ratio(-0.5)).toBe('\u22120.50');
});

test('amounts of a column below a dollar have as many decimals each; of what is too small it is said', () => {
  const show = usdAlike([0.0031, 0.00053, 0, null]);
  expect([0.0031, 0.00053, 0, null, 1e-9].map(show)).toEqual(['$0.00310', '$0.00053', '$0', '\u2013', '<$0.00001']);
  expect(usdAlike([12, 0.0001])(12)).toBe('$12.00');
  expect(usdAlike([])(0.5)).toBe('$0.50');
});

test('how many times as much', () => {
  expect([3.249, 10.56, 1, 0.4, 0.0123].map(times)).toEqual([
    '3.2 \u00d7',
    '11 \u00d7',
    '1 \u00d7',
    '0.4 \u00d7',
    '0.01 \u00d7',
  ]);
  expect(times(Number.NaN)).toBe('\u2013');
});

test('times and counts', () => {
  expect(duration(0)).toBe('0 ms');
  expect(duration(0.42)).toBe('0.42 ms');
  expect(duration(999)).toBe('999 ms');
  expect(duration(1234)).toBe('1.23 s');
  expect(duration(90_000)).toBe('1.5 min');
  expect(duration(null)).toBe('\u2013');
  expect(count(9999)).toBe('9,999');
  expect(count(12_345)).toBe('12.3K');
  expect(ago(new Date(1000), 1000 + 120_000)).toBe('2 min. ago');
});

const { hashOf, periodOf, placeOf } = await part('place');

test('the address says where one is, whatever the names hold', () => {
  const place = { path: ['decisions', 'a/b ?#%'], query: { model: 'x/y&z=1', team: '<b>' } };
  expect(placeOf(hashOf(place))).toEqual(place);
  expect(placeOf('')).toEqual({ path: [], query: {} });
  expect(placeOf('#/%E0%A4%A')).toEqual({ path: ['%E0%A4%A'], query: {} });
});

test('a period ends with the hour that runs, and its days are whole ones of UTC', () => {
  const now = Date.parse('2026-11-29T19:20:00Z');
  expect(periodOf({ range: '24h' }, now)).toMatchObject({
    step: 'hour',
    query: { from: '2026-11-28T20:00:00.000Z', to: '2026-11-29T20:00:00.000Z' },
  });
  expect(periodOf({}, now)).toMatchObject({
    id: '7d',
    step: 'day',
    query: { from: '2026-11-23T00:00:00.000Z', to: '2026-11-29T20:00:00.000Z' },
  });
  expect(periodOf({ range: 'custom', from: '2026-11-01', to: '2026-11-02', team: 'a' }, now)).toMatchObject({
    step: 'hour',
    query: { from: '2026-11-01T00:00:00.000Z', to: '2026-11-03T00:00:00.000Z', team: 'a' },
  });
});

test.each([
  { range: 'custom', from: '2027-01-01', to: '2026-01-01' },
  { range: 'custom', from: 'nonsense', to: '9999-99-99' },
  { range: '__proto__' },
  { range: 'custom' },
])('whatever was typed is a period: %j', (query) => {
  const { from, to } = periodOf(query).query;
  expect(Date.parse(from)).toBeLessThan(Date.parse(to));
});
