/**
 * What LiteLLM's keys become here. Where something of theirs cannot be had as it is, it becomes stricter, never looser,
 * and a line says so: nobody should spend more after a move than before it.
 */
import { createHash } from 'node:crypto';
import { isAmong } from '../../callers.ts';
import type { ImportedKey, ImportedTeam } from '../../governance/access/litellm-keys.ts';
import type { LiteLlmAccess, LiteLlmBudget, LiteLlmKey, LiteLlmTeam } from './access-source.ts';

/** A budget or a rate, as `POST /v1/admin/limits` takes it. */
export interface PlannedLimit {
  readonly kind: 'budget' | 'rate';
  readonly name: string;
  readonly team: string;
  /** Name of the key; absent: the whole team. */
  readonly key?: string;
  readonly usd?: number;
  readonly period?: 'day' | 'month';
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
}

export interface AccessPlan {
  readonly teams: readonly ImportedTeam[];
  readonly keys: readonly ImportedKey[];
  readonly limits: readonly PlannedLimit[];
  /** One line each: what was left or changed, and why. */
  readonly left: readonly string[];
}

/** Keys of LiteLLM's own page; it makes them anew at each sign-in. */
const DASHBOARD_TEAM = 'litellm-dashboard';
const SMALLEST_USD = 0.01;

export function planOf({ keys, teams, budgets }: LiteLlmAccess): AccessPlan {
  const left: string[] = [];
  const limits: PlannedLimit[] = [];
  const budgetOf = new Map(budgets.map((budget) => [budget.budget_id, budget]));
  const names = new Names();
  const named = new Map<string, { team: LiteLlmTeam | undefined; name: string }>();
  const plannedTeams: ImportedTeam[] = [];
  const nameOfTeam = (id: string | null | undefined): { team: LiteLlmTeam | undefined; name: string } => {
    if (!id) return { team: undefined, name: 'default' };
    const known = named.get(id);
    if (known !== undefined) return known;
    const team = teams.find(({ team_id }) => team_id === id);
    const entry = { team, name: names.give('team', team?.team_alias ?? id, id) };
    named.set(id, entry);
    plannedTeams.push({ name: entry.name, description: `LiteLLM team ${id}`.slice(0, 200) });
    if (team !== undefined) limits.push(...limitsOf(team, { team: entry.name }, `team ${entry.name}`, left));
    return entry;
  };
  // In an order of its own, so that namesakes are told apart alike each time.
  for (const { team_id } of sortedBy(teams, ({ team_id }) => team_id))
    if (team_id !== DASHBOARD_TEAM) nameOfTeam(team_id);

  const planned: ImportedKey[] = [];
  const digests = new Set<string>();
  for (const key of sortedBy(keys, ({ token }) => token)) {
    if (key.team_id === DASHBOARD_TEAM) continue;
    const digest = digestOf(key.token);
    const label = key.key_alias ?? key.key_name ?? `key ${digest?.slice(0, 8) ?? ''}`;
    if (digest === null) {
      left.push(`${printable(label)}: its token is neither a SHA-256 nor a key; left out`);
      continue;
    }
    if (digests.has(digest)) continue;
    digests.add(digest);
    const { team, name: teamName } = nameOfTeam(key.team_id);
    const name = names.give(`key of ${teamName}`, label, digest.slice(0, 8));
    const models = modelsOf(key, team, `${teamName}/${name}`, left);
    planned.push({
      digest,
      // Of a key in plain text no more is kept than of the others.
      prefix: /^sk-\.{3}/.test(key.key_name ?? '') ? key.key_name!.slice(0, 20) : 'sk-…',
      name,
      team: teamName,
      ...(models !== undefined && { models }),
      tags: tagsOf(key),
      expiresAt: key.expires?.toISOString() ?? null,
      revoked: key.blocked || (team?.blocked ?? false),
    });
    const shared = key.budget_id ? budgetOf.get(key.budget_id) : undefined;
    limits.push(...limitsOf(withShared(key, shared), { team: teamName, key: name }, `${teamName}/${name}`, left));
    if (Object.keys(key.model_max_budget ?? {}).length > 0) {
      left.push(
        `${teamName}/${name}: budgets of single models were left; make them with pointsman budgets create --model`,
      );
    }
  }
  return { teams: plannedTeams, keys: planned, limits, left };
}

const sortedBy = <T>(list: readonly T[], by: (one: T) => string): T[] =>
  [...list].sort((a, b) => (by(a) < by(b) ? -1 : 1));

function digestOf(token: string): string | null {
  if (/^[0-9a-f]{64}$/i.test(token)) return token.toLowerCase();
  return /^sk-[\x21-\x7e]{8,}$/.test(token) ? createHash('sha256').update(token).digest('hex') : null;
}

const withShared = (key: LiteLlmKey, shared: LiteLlmBudget | undefined): LiteLlmKey => ({
  ...key,
  max_budget: key.max_budget ?? shared?.max_budget ?? null,
  budget_duration: key.budget_duration ?? shared?.budget_duration ?? null,
  tpm_limit: key.tpm_limit ?? shared?.tpm_limit ?? null,
  rpm_limit: key.rpm_limit ?? shared?.rpm_limit ?? null,
});

/** @returns undefined: all models; empty: none */
function modelsOf(
  { models }: LiteLlmKey,
  team: LiteLlmTeam | undefined,
  whose: string,
  left: string[],
): string[] | undefined {
  const ofTeam = listOf(team?.models);
  // Empty stands for all, of the team or of the proxy.
  const ofKey = models?.includes('all-team-models') ? undefined : listOf(models);
  if (models?.includes('no-default-models') && models.length === 1) return [];
  if (ofKey === undefined) return ofTeam;
  if (ofTeam === undefined) return ofKey;
  const both = ofKey.filter((model) => isAmong(model, ofTeam));
  if (both.length < ofKey.length) left.push(`${whose}: models that its team may not use were left out`);
  return both;
}

function listOf(models: readonly string[] | null | undefined): string[] | undefined {
  if (models == null || models.length === 0 || models.includes('all-proxy-models') || models.includes('*'))
    return undefined;
  return models.filter((model) => model !== 'no-default-models');
}

function tagsOf({ metadata }: LiteLlmKey): string[] {
  const tags = metadata?.tags;
  if (!Array.isArray(tags)) return [];
  return tags.filter((tag): tag is string => typeof tag === 'string' && tag !== '' && tag.length <= 100).slice(0, 50);
}

function limitsOf(
  bounds: Pick<
    LiteLlmKey,
    'max_budget' | 'budget_duration' | 'tpm_limit' | 'rpm_limit' | 'spend' | 'max_parallel_requests'
  >,
  whose: { readonly team: string; readonly key?: string },
  label: string,
  left: string[],
): PlannedLimit[] {
  const { max_budget, rpm_limit, tpm_limit, max_parallel_requests } = bounds;
  const name = `litellm ${label}`;
  const limits: PlannedLimit[] = [];
  if (max_budget !== null) {
    const { usd, period, note } = budgetOf(max_budget, bounds.budget_duration ?? null, bounds.spend ?? 0);
    limits.push({ kind: 'budget', name, ...whose, usd, period });
    if (note !== null) left.push(`${label}: ${note}`);
  }
  const rates = {
    ...(rpm_limit !== null && { requestsPerMinute: atLeastOne(rpm_limit) }),
    ...(tpm_limit !== null && { tokensPerMinute: atLeastOne(tpm_limit) }),
  };
  if (Object.keys(rates).length > 0) limits.push({ kind: 'rate', name: `${name} a minute`, ...whose, ...rates });
  if (max_parallel_requests !== null) {
    left.push(
      `${label}: ${max_parallel_requests} requests at a time; there is no such limit here, rates a minute stand`,
    );
  }
  return limits;
}

/** A limit of none at all is not to be had: one a minute is next to it. */
const atLeastOne = (limit: number): number => Math.max(1, Math.floor(limit));

/**
 * Days and months are all that there are here. A budget of n days becomes the n-th part a day (a shorter one all of it
 * a day), one of more than a month its part a month, and one that is never filled up again what is left of it a month.
 */
function budgetOf(
  max: number,
  duration: string | null,
  spent: number,
): { usd: number; period: 'day' | 'month'; note: string | null } {
  const at = (usd: number, period: 'day' | 'month', why: string | null) => {
    const rounded = Math.max(SMALLEST_USD, Math.round(usd * 1e6) / 1e6);
    return { usd: rounded, period, note: why === null ? null : `${why} became ${rounded} USD a ${period}` };
  };
  if (duration === null) {
    return at(max - spent, 'month', `a budget of ${max} USD that is never filled up, ${spent} USD of it spent,`);
  }
  const days = daysOf(duration);
  if (days === null) return at(max, 'month', `a budget of ${max} USD for ${JSON.stringify(duration.slice(0, 20))}`);
  if (days === 1) return at(max, 'day', null);
  if (days < 1) return at(max, 'day', `a budget of ${max} USD for ${duration}`);
  if (days < 28) return at(max / days, 'day', `a budget of ${max} USD for ${duration}`);
  if (days <= 31) return at(max, 'month', null);
  return at((max * 30) / days, 'month', `a budget of ${max} USD for ${duration}`);
}

const DAYS: Readonly<Record<string, number>> = { s: 1 / 86_400, m: 1 / 1440, h: 1 / 24, d: 1, w: 7, mo: 30 };
const WORDS: Readonly<Record<string, string>> = { daily: '1d', weekly: '7d', monthly: '30d' };

/** `30d`, `24h`, `1mo` … */
function daysOf(duration: string): number | null {
  const [, count, unit] = /^(\d{1,6})(s|m|h|d|w|mo)$/.exec(WORDS[duration] ?? duration) ?? [];
  return count === undefined || Number(count) === 0 ? null : Number(count) * DAYS[unit!]!;
}

/** Names as they are allowed here, each once. */
class Names {
  readonly #given = new Set<string>();

  /** @param otherwise what tells it from a namesake, the same each time */
  give(among: string, wanted: string, otherwise: string): string {
    const plain = printable(wanted);
    const name =
      plain !== '' && this.#take(among, plain) ? plain : `${plain || 'unnamed'} ${printable(otherwise).slice(0, 40)}`;
    this.#take(among, name);
    return name;
  }

  #take(among: string, name: string): boolean {
    const full = `${among}\n${name}`;
    if (this.#given.has(full)) return false;
    this.#given.add(full);
    return true;
  }
}

/** At most 59 letters, digits and what a name may have between them. */
const printable = (text: string): string =>
  text
    .normalize('NFC')
    .replace(/[^\p{L}\p{N} ._@:/+-]+/gu, '-')
    .replace(/^[^\p{L}\p{N}]+/u, '')
    .slice(0, 59)
    .replace(/[^\p{L}\p{N})._@:/+-]+$/u, '');
