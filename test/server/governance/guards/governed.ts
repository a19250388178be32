/** A gateway under guardrails, without a policy document around them. */
import { ANYBODY, type Caller } from '../../../../server/callers.ts';
import { type GuardRule, GuardRules } from '../../../../server/governance/guards/rule.ts';
import { NO_RULES } from '../../../../server/governance/policies/rules.ts';
import type { TestGateway } from '../../fakes.ts';

export const rulesOf = (...rules: object[]): GuardRule[] => GuardRules.parse(rules);

export const callerUnder = (guards: readonly GuardRule[], caller: Caller = ANYBODY): Caller => ({
  ...caller,
  rules: { ...NO_RULES, guards },
});

/** From now on its requests are under these. */
export function putUnder({ gateway }: TestGateway, ...rules: object[]): void {
  const guards = rulesOf(...rules);
  gateway.governance.policies.govern = ({ caller }) => callerUnder(guards, caller);
}
