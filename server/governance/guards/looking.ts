/** Applies guardrails to texts one after the other, each to what the one before it left, and takes down what they find. */
import type { GuardHit } from '../../db/records.ts';
import { GuardrailBlocked } from './blocked.ts';
import { Breath } from './breath.ts';
import { textsIn, type Wanted, withTexts } from './json-texts.ts';
import type { Voice } from './kinds/rules.ts';
import type { Place } from './places.ts';
import type { Found, Guard, Seen } from './plug-in.ts';
import { promptNames } from './prompt-places.ts';
import type { GuardRule } from './rule.ts';
import { listsOf, lookAcross } from './seams.ts';

/** A rule that holds for a request, ready to be applied. */
export interface Active {
  readonly rule: GuardRule;
  readonly guard: Guard;
  readonly action: GuardHit['action'];
}

/** What was found of one prompt, or one answer. */
export class Hits {
  readonly #where: GuardHit['where'];
  readonly #count: (hit: GuardHit) => void;
  readonly #all: GuardHit[] = [];

  /** @param count is told of each */
  constructor(where: GuardHit['where'], count: (hit: GuardHit) => void) {
    this.#where = where;
    this.#count = count;
  }

  get all(): readonly GuardHit[] {
    return this.#all;
  }

  /** @throws GuardrailBlocked where the rule blocks and something was found */
  note({ rule, action }: Active, found: Found): void {
    let isFound = false;
    for (const [what, count = 0] of Object.entries(found)) {
      if (count === 0) continue;
      isFound = true;
      const hit: GuardHit = { guard: rule.name, found: what, where: this.#where, action, count };
      this.#count(hit);
      const known = this.#all.find((one) => one.guard === rule.name && one.found === what && one.action === action);
      if (known === undefined) this.#all.push(hit);
      else known.count += count;
    }
    if (isFound && action === 'blocked') throw new GuardrailBlocked(rule.name, this.#where, structuredClone(this.#all));
  }
}

export interface Item {
  readonly start: number;
  readonly end: number;
  readonly as: Place;
  value: string;
  isChanged: boolean;
}

export const itemsIn = (json: string, places: Wanted<Place>, names?: (name: string) => Place | null): Item[] =>
  textsIn(json, places, names).map(({ start, end, value, as }) => ({ start, end, value, as, isChanged: false }));

export const withItems = (json: string, items: readonly Item[]): string => {
  const changed = items.filter(({ isChanged }) => isChanged);
  return changed.length === 0 ? json : withTexts(json, changed);
};

/**
 * One guardrail over all texts.
 *
 * @param breath of all that is done for the request
 * @throws GuardrailBlocked
 */
export async function lookOver(
  items: readonly Item[],
  active: Active,
  hits: Hits,
  breath: Breath = new Breath(),
): Promise<void> {
  const { guard, action, rule } = active;
  if (guard.look === undefined) return;
  const isMasking = rule.action === 'mask';
  const total: Record<string, number> = {};
  const note = (found: Found) => {
    for (const [what, count = 0] of Object.entries(found)) total[what] = (total[what] ?? 0) + count;
  };
  const foundOf = new Map<Item, Found>();
  for (const item of items) {
    const { voice, isJson, isFixed, list } = item.as;
    // It could not be masked, so a rule that masks does not look.
    if (isFixed && isMasking) continue;
    if (breath.isDue) await breath.take();
    const looked = isJson ? lookInJson(guard, item.value, voice, breath, !isMasking) : guard.look(item.value, voice);
    const { text, found } = looked instanceof Promise ? await looked : looked;
    note(found);
    if (list !== undefined) foundOf.set(item, found);
    if (action !== 'masked' || text === item.value) continue;
    item.value = text;
    item.isChanged = true;
  }
  for (const parts of listsOf(items)) {
    if (breath.isDue) await breath.take();
    const one: Record<string, number> = {};
    for (const part of parts) {
      for (const [what, count = 0] of Object.entries(foundOf.get(part) ?? {})) one[what] = (one[what] ?? 0) + count;
    }
    note(await lookAcross(parts, one, guard, action === 'masked'));
  }
  hits.note(active, total);
}

/**
 * JSON in a string: its strings and numbers looked at each, so that it stays JSON. Other text as it is.
 *
 * @param withNames names of members that are no plain identifiers, too; they are never changed
 */
export async function lookInJson(
  guard: Guard,
  json: string,
  voice: Voice,
  breath: Breath = new Breath(),
  withNames = false,
): Promise<Seen> {
  if (guard.look === undefined) return { text: json, found: {} };
  try {
    JSON.parse(json);
  } catch {
    return guard.look(json, voice);
  }
  const found: Record<string, number> = {};
  const changed: { start: number; end: number; value: string }[] = [];
  const names = withNames ? (name: string) => promptNames(name) !== null || null : undefined;
  for (const { start, end, value } of textsIn<boolean>(json, () => true, names)) {
    if (breath.isDue) await breath.take();
    const seen = await guard.look(value, voice);
    for (const [what, count = 0] of Object.entries(seen.found)) found[what] = (found[what] ?? 0) + count;
    if (seen.text !== value) changed.push({ start, end, value: seen.text });
  }
  return { text: withTexts(json, changed), found };
}
