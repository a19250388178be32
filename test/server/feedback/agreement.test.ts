/** Which teams are taken for contrary, and by whose verdicts. */
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../datasets/index.ts';
import { CONTRADICTED, type Forecast, teamAgreement } from '../../../server/feedback/agreement.ts';

interface Row {
  readonly tenant: string;
  readonly group: string;
  readonly quality: number;
  readonly weight: number;
  /** How likely a right answer was. */
  readonly truth: number;
}

type Judge = (right: boolean, random: () => number) => number;
const honest: Judge = (right) => (right ? 1 : 0);
const contrary: Judge = (right) => (right ? 0 : 1);
const strict: Judge = (right) => (right ? 0.4 : 0.1);
const byChance: Judge = (_, random) => (random() < 0.5 ? 1 : 0);

function team(tenant: string, count: number, judge: Judge, perGroup = 1): Row[] {
  const random = seededRandom(tenant.charCodeAt(0));
  return Array.from({ length: count }, (_, i) => {
    const truth = 0.3 + 0.6 * random();
    const group = `${tenant}${Math.floor(i / perGroup)}`;
    return { tenant, group, truth, quality: judge(random() < truth, random), weight: 1 };
  });
}

/** Knows the truth, as one who learned from many honest answers. */
const wise: Forecast<Row> = (_, asked) => asked.map(({ truth }) => truth);
const verdicts = (rows: readonly Row[], forecast = wise) =>
  new Map(teamAgreement(rows, forecast, 1).teams.map(({ tenant, contradicts }) => [tenant, contradicts]));

describe('a team', () => {
  const others = [...team('a', 300, honest), ...team('b', 300, honest)];

  test.each<[string, Judge, boolean]>([
    ['that says the opposite contradicts', contrary, true],
    ['that agrees does not', honest, false],
    ['that is strict with all does not', strict, false],
  ])('%s', (_, judge, contradicts) => {
    const rows = [...others, ...team('x', 200, judge)];
    expect(verdicts(rows).get('x')).toBe(contradicts);
    const { multipliers } = teamAgreement(rows, wise, 1);
    expect([...multipliers.slice(0, 600)]).toEqual(Array(600).fill(1));
    expect(new Set(multipliers.slice(600))).toEqual(new Set([contradicts ? CONTRADICTED : 1]));
  });

  test('whose verdicts are chance is seldom taken for contrary', () => {
    const taken = Array.from('cdefghijklmnopqrstuv').filter((name) =>
      verdicts([...others, ...team(name, 100, byChance)]).get(name),
    );
    // Of 20, 0.5 are expected.
    expect(taken.length).toBeLessThanOrEqual(2);
  });

  test('is not judged by few answers, nor where the others do not outweigh it two to one', () => {
    expect(verdicts([...others, ...team('x', 29, contrary)]).has('x')).toBe(false);
    expect([...verdicts(team('a', 100, contrary)).keys()]).toEqual([]);
    expect([...verdicts([...team('a', 100, honest), ...team('x', 100, contrary)]).keys()]).toEqual([]);
    expect([...verdicts([...team('a', 300, honest), ...team('x', 100, contrary)]).keys()]).toEqual(['x']);
  });

  test('is judged by weight, not by number', () => {
    const light = team('x', 300, contrary).map((row) => ({ ...row, weight: 0.1 }));
    expect(verdicts([...team('a', 100, honest), ...light]).get('x')).toBe(true);
    const mute = light.map((row) => ({ ...row, weight: 0 }));
    expect(verdicts([...team('a', 100, honest), ...mute]).has('x')).toBe(false);
  });

  test('that says the same of one session a hundred times has said it once', () => {
    // Two sessions, whatever their length, are two observations: |z| ≤ √2.
    const rows = [...others, ...team('x', 100, contrary, 50)];
    const [x] = teamAgreement(rows, wise, 1).teams;
    expect(Math.abs(x!.z)).toBeLessThanOrEqual(Math.SQRT2 + 1e-9);
  });
});

test('no team is judged by what was learned from it, and no fit is larger than it need be', () => {
  const rows = Array.from('abcdefgh').flatMap((name) => team(name, 700, honest));
  const judged: string[] = [];
  const watching: Forecast<Row> = (learnedFrom, asked) => {
    const own = new Set(asked.map(({ tenant }) => tenant));
    expect(learnedFrom.some(({ tenant }) => own.has(tenant))).toBe(false);
    expect(learnedFrom.length).toBe(4000);
    judged.push(...own);
    return wise(learnedFrom, asked);
  };
  teamAgreement(rows, watching, 1);
  expect(judged.sort()).toEqual(Array.from('abcdefgh'));
});

test('forecasts that do not vary, and an empty log, say nothing', () => {
  const rows = [...team('a', 300, honest), ...team('x', 100, contrary)];
  const same: Forecast<Row> = (_, asked) => asked.map(() => 0.5);
  expect(teamAgreement(rows, same, 1).teams).toMatchObject([{ tenant: 'x', z: 0, contradicts: false }]);
  expect(teamAgreement([], wise, 1)).toEqual({ teams: [], multipliers: new Float64Array(0) });
});
