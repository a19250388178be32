import { expect, test } from 'vitest';
import { Breaker } from '../../server/forward/breaker.ts';

const place = (deployment: string, key = '') => ({
  deployment,
  provider: { name: deployment.split('/')[0]! },
  credential: { id: key },
});
const places = [place('one/a'), place('one/b'), place('one/a#2', '2'), place('two/c')];

function breaker() {
  let now = 1000;
  const subject = new Breaker(() => now);
  return {
    subject,
    resting: () => places.filter((each) => subject.rests(each)).map(({ deployment }) => deployment),
    wait: (ms: number) => {
      now += ms;
    },
    fail: (times: number, blame: Parameters<Breaker['failed']>[1] = 'overload') => {
      for (let i = 0; i < times; i++) subject.failed(places[0]!, blame);
    },
  };
}

test('a deployment rests after three failures in a row, and comes back', () => {
  const { resting, wait, fail } = breaker();
  fail(2);
  expect(resting()).toEqual([]);
  fail(1);
  expect(resting()).toEqual(['one/a']);
  wait(10_001);
  expect(resting()).toEqual([]);
});

test('after its rest one failure is enough, and the next rest is longer, up to a limit', () => {
  const { resting, wait, fail } = breaker();
  fail(3);
  wait(10_001);
  fail(1);
  wait(10_001);
  expect(resting()).toEqual(['one/a']);
  wait(10_000);
  expect(resting()).toEqual([]);
  fail(100);
  wait(120_001);
  expect(resting()).toEqual([]);
});

test('of any number of names that clients make up, the ones that failed last are kept', () => {
  const { subject, resting, fail } = breaker();
  fail(3);
  for (let i = 0; i < 9_999; i++) subject.failed(place(`one/made-up-${i}`), 'overload');
  expect(resting()).toEqual(['one/a']);
  subject.failed(place('one/one-too-many'), 'overload');
  expect(resting()).toEqual([]);
});

test('an answer clears what was before', () => {
  const { subject, resting, fail } = breaker();
  fail(2);
  subject.ok(places[0]!);
  fail(2);
  expect(resting()).toEqual([]);
});

test('a provider that cannot be had rests with all its models', () => {
  const { resting, fail } = breaker();
  fail(3, 'provider');
  expect(resting()).toEqual(['one/a', 'one/b', 'one/a#2']);
});

test('faults of requests and clients that leave are not held against a deployment', () => {
  const { resting, fail } = breaker();
  for (const blame of ['request', 'model', 'cancelled'] as const) fail(5, blame);
  expect(resting()).toEqual([]);
});

test('a refused key rests with every model called by it, and only those', () => {
  const { resting, fail } = breaker();
  fail(3, 'credential');
  expect(resting()).toEqual(['one/a', 'one/b']);
});

test('replicas hear of what opened, once, and believe the longer rest', () => {
  const here = breaker();
  here.fail(3);
  const told = here.subject.changes();
  expect(told).toMatchObject([{ deployment: 'one/a', failures: 3 }]);
  expect(here.subject.changes()).toEqual([]);
  const there = breaker();
  there.subject.learn(told);
  expect(there.resting()).toEqual(['one/a']);
  there.subject.learn([{ ...told[0]!, restMs: 1 }]);
  expect(there.resting()).toEqual(['one/a']);
  there.wait(10_001);
  expect(there.resting()).toEqual([]);
});
