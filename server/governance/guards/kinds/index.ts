/** Every kind of guardrail by name. */
import type { Guard } from '../plug-in.ts';
import type { GuardRule } from '../rule.ts';
import { deny } from './deny.ts';
import type { PatternThread } from './deny-patterns.ts';
import { injection } from './injection.ts';
import { length } from './length.ts';
import { pii } from './pii.ts';
import { schema } from './schema.ts';

type Maker<K extends GuardRule['kind']> = (rule: Extract<GuardRule, { kind: K }>, thread: PatternThread) => Guard;

export const GUARDS: { readonly [K in GuardRule['kind']]: Maker<K> } = { pii, injection, deny, schema, length };

/** @param thread where patterns are matched against long texts */
export const guardOf = (rule: GuardRule, thread: PatternThread): Guard =>
  (GUARDS[rule.kind] as Maker<GuardRule['kind']>)(rule as never, thread);
