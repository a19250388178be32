import { expect, test } from 'vitest';
import { Breaker } from '../../server/forward/breaker.ts';

const models = ['one/a', 'one/b', 'two/c'];

function breaker() {
  let now = 1000;
  const subject = new Breaker(() => now);
  return {
    subject,
    wait: (ms: number) => {
      now += ms;
    },
    fail: (times: number, blame: Parameters<Breaker['failed']>[1] = 'overload') => {
      for (let i = 0; i < times; i++) subject.failed('one/a', blame);
    },
  };
}

test('a model rests after three failures in a row, and comes back', () => {
  const { subject, wait, fail } = breaker();
  fail(2);
  expect(subject.resting(models)).toEqual([]);
  fail(1);
  expect(subject.resting(models)).toEqual(['one/a']);
  wait(10_001);
  expect(subject.resting(models)).toEqual([]);
});

test('after its rest one failure is enough, and the next rest is longer, up to a limit', () => {
  const { subject, wait, fail } = breaker();
  fail(3);
  wait(10_001);
  fail(1);
  wait(10_001);
  expect(subject.resting(models)).toEqual(['one/a']);
  wait(10_000);
  expect(subject.resting(models)).toEqual([]);
  fail(100);
  wait(120_001);
  expect(subject.resting(models)).toEqual([]);
});

test('an answer clears what was before', () => {
  const { subject, fail } = breaker();
  fail(2);
  subject.ok('one/a');
  fail(2);
  expect(subject.resting(models)).toEqual([]);
});

test('a provider that cannot be had rests with all its models', () => {
  const { subject, fail } = breaker();
  fail(3, 'provider');
  expect(subject.resting(models)).toEqual(['one/a', 'one/b']);
});

test('faults of requests and clients that leave are not held against a model', () => {
  const { subject, fail } = breaker();
  for (const blame of ['request', 'model', 'cancelled'] as const) fail(5, blame);
  expect(subject.resting(models)).toEqual([]);
});
