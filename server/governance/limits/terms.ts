/** A limit: whom it is for and how much they may have, whether the configuration says so or somebody made it. */
import { z } from 'zod';
import type { LimitKind, LimitScope } from '../../db/records.ts';
import { BudgetConfig, type LimitsConfig, RateConfig } from './config.ts';
import type { Period } from './period.ts';

export interface Whose {
  readonly team?: string | undefined;
  readonly project?: string | undefined;
  readonly key?: string | undefined;
  readonly model?: string | undefined;
  readonly provider?: string | undefined;
  readonly tag?: string | undefined;
}

/** From the narrowest on: what a limit is filed under. */
export const CONDITIONS = [
  'key',
  'project',
  'tag',
  'model',
  'provider',
  'team',
] as const satisfies readonly LimitScope[];

/** Who made it decides who may change it: what an admin made is an admin's. */
export type MadeBy = 'configuration' | 'admin' | 'manager';

interface Common extends Whose {
  readonly id: string;
  readonly name: string;
  readonly madeBy: MadeBy;
}

export interface Budget extends Common, Pick<BudgetConfig, 'usd' | 'period' | 'softShare' | 'softDial' | 'notifyAt'> {
  readonly kind: 'budget';
}

export interface Rate extends Common {
  readonly kind: 'rate';
  readonly requestsPerMinute?: number | undefined;
  readonly tokensPerMinute?: number | undefined;
}

export type Limit = Budget | Rate;

/** What is counted: a budget counts one thing, a rate up to two. */
export type Measure = 'usd' | 'requests' | 'tokens';

export const measuresOf = (limit: Limit): Measure[] =>
  limit.kind === 'budget'
    ? ['usd']
    : [
        ...(limit.requestsPerMinute === undefined ? [] : ['requests' as const]),
        ...(limit.tokensPerMinute === undefined ? [] : ['tokens' as const]),
      ];

/** How much there is in a period. */
export function capOf(limit: Limit, measure: Measure): number {
  if (limit.kind === 'budget') return limit.usd;
  return (measure === 'tokens' ? limit.tokensPerMinute : limit.requestsPerMinute) ?? Number.POSITIVE_INFINITY;
}

export const periodOf = (limit: Limit): Period => (limit.kind === 'budget' ? limit.period : 'minute');

/** What its use is kept by, `ID`, `ID:requests` or `ID#SUBJECT`; `subject` where it counts each team, key … by itself. */
export const bucketOf = ({ id }: Pick<Limit, 'id'>, measure: Measure, subject: string | null): string =>
  `${id}${measure === 'usd' ? '' : `:${measure}`}${subject === null ? '' : `#${subject}`}`;

/**
 * `TEAM`, `TEAM/KEY`, `TEAM/PROJECT`, `TEAM/KEY/TAG` …: what parts names is escaped within them, so that no two come to the same.
 * KEY is where the key's rotation chain begins, for one of the configuration its name.
 */
export const subjectOf = (parts: readonly string[]): string => parts.map(escaped).join('/');

/** What {@link subjectOf} was made of. */
export const partsOfSubject = (subject: string): string[] =>
  subject.split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      // Written by hand: it names nobody.
      return part;
    }
  });

/** Whether it begins with this team. */
export const isSubjectOf = (subject: string, team: string): boolean => subject.split('/')[0] === escaped(team);

/** Most names stay as people know them. Control characters, too, since a database does not keep them all. */
const escaped = (name: string): string => name.replace(/[%/#\p{Cc}]/gu, encodeURIComponent);

/** Limits of the configuration go by their names: one that is renamed begins anew. */
export function limitsOf({ budgets, rates }: LimitsConfig): Limit[] {
  const madeBy = 'configuration';
  return [
    ...budgets.map((terms): Budget => ({ ...terms, id: configId('budget', terms.name), kind: 'budget', madeBy })),
    ...rates.map((terms): Rate => ({ ...terms, id: configId('rate', terms.name), kind: 'rate', madeBy })),
  ];
}

/** Without the characters that part a bucket's name. */
const configId = (kind: LimitKind, name: string): string => `config:${kind}:${encodeURIComponent(name)}`;

/** `terms` of a row: those of the configuration, and who made it. */
const madeBy = z.enum(['admin', 'manager']).default('admin');
const StoredBudget = BudgetConfig.extend({ madeBy });
const StoredRate = RateConfig.extend({ madeBy });

export interface LimitRow {
  readonly id: string;
  readonly kind: LimitKind;
  readonly terms: unknown;
}

/** @returns null for a row that this version cannot read: a later one wrote it */
export function limitOfRow({ id, kind, terms }: LimitRow): Limit | null {
  if (kind === 'budget') {
    const { data } = StoredBudget.safeParse(terms);
    return data === undefined ? null : { ...data, id, kind };
  }
  const { data } = StoredRate.safeParse(terms);
  return data === undefined ? null : { ...data, id, kind: 'rate' };
}

/** What the columns say of whom it is for; all of it is in `terms`. */
export function scopeOf(whose: Whose): { scope: LimitScope; subject: string } {
  const scope = CONDITIONS.find((condition) => whose[condition] !== undefined);
  return scope === undefined ? { scope: 'all', subject: '' } : { scope, subject: whose[scope]! };
}
