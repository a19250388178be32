/** Who was refused and why is counted by process, for whoever may see the team. */
import { expect, test } from 'vitest';
import { RoutingError } from '../../../datasets/index.ts';
import { ANYBODY, OPERATOR } from '../../../server/callers.ts';
import { GuardrailBlocked } from '../../../server/governance/guards/blocked.ts';
import { LimitReached } from '../../../server/governance/limits/refusal.ts';
import { Refusals } from '../../../server/telemetry/refusals.ts';
import { callerOf } from '../governance/limits/hosts.ts';

const spent = (limit: string) =>
  new LimitReached('BUDGET_EXCEEDED', 'spent', { type: 'insufficient_quota', limit, headers: {} });

test('counts by team, key, reason and limit, most first', () => {
  const refusals = new Refusals();
  const web = callerOf({ tenant: 'search', name: 'web' });
  const bot = callerOf({ tenant: 'sales', name: 'bot' });
  for (const error of [spent('each'), spent('each'), new RoutingError('POLICY_REFUSED', 'rule')]) {
    refusals.count(web, error);
  }
  refusals.count(web, spent('other'));
  refusals.count(web, spent('each'));
  refusals.count(bot, new GuardrailBlocked('no secrets', 'prompt', []));
  refusals.count(ANYBODY, new RoutingError('RATE_LIMITED', 'slow down'));
  const lastAt = expect.stringMatching(/^\d{4}-.*Z$/);
  expect(refusals.of('search')).toEqual([
    { team: 'search', key: 'web', reason: 'budget', by: 'each', requests: 3, lastAt },
    expect.objectContaining({ requests: 1 }),
    expect.objectContaining({ requests: 1 }),
  ]);
  expect(refusals.of('sales')).toEqual([
    { team: 'sales', key: 'bot', reason: 'guardrail', by: 'no secrets', requests: 1, lastAt },
  ]);
  expect(refusals.of('default')).toMatchObject([{ key: null, reason: 'rate', by: null }]);
  expect(refusals.of(null)).toHaveLength(5);
});

test('counts neither what is no refusal nor what people and the operator do', () => {
  const refusals = new Refusals();
  for (const error of [new RoutingError('INVALID_REQUEST', 'x'), new Error('x'), null, { code: 'toString' }]) {
    refusals.count(callerOf(), error);
  }
  refusals.count(OPERATOR, spent('each'));
  expect(refusals.of(null)).toEqual([]);
});

test('a team with many keys pushes out none of another’s', () => {
  const refusals = new Refusals();
  const quiet = callerOf({ tenant: 'quiet', name: 'bot' });
  refusals.count(quiet, spent('each'));
  for (let i = 0; i < 3000; i++) refusals.count(callerOf({ tenant: 'loud', name: `key ${i}` }), spent('each'));
  refusals.count(quiet, spent('each'));
  expect(refusals.of('quiet')).toMatchObject([{ key: 'bot', requests: 2 }]);
  expect(refusals.of(null)).toHaveLength(2000);
  expect(refusals.of('loud')).toHaveLength(1999);
  expect(refusals.of('nobody')).toEqual([]);
});

test('keeps a bounded number, and forgets those that were not seen for longest', () => {
  const refusals = new Refusals();
  for (let i = 0; i < 2000; i++) refusals.count(callerOf({ name: `key ${i}` }), spent('each'));
  refusals.count(callerOf({ name: 'key 0' }), spent('each'));
  refusals.count(callerOf({ name: 'one more' }), spent('each'));
  const keys = new Set(refusals.of(null).map(({ key }) => key));
  expect(keys.size).toBe(2000);
  expect(keys.has('key 0')).toBe(true);
  expect(keys.has('key 1')).toBe(false);
});
