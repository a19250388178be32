/** Applies guardrails to texts one after the other, each to what the one before it left, and takes down what they find. */
import type { GuardHit } from '../../db/records.ts';
import { GuardrailBlocked } from './blocked.ts';
import { textsIn, withTexts } from './json-texts.ts';
import type { Voice } from './kinds/rules.ts';
import type { Place } from './places.ts';
import type { Found, Guard, Seen } from './plug-in.ts';
import type { GuardRule } from './rule.ts';

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

export const itemsIn = (json: string, places: Parameters<typeof textsIn<Place>>[1]): Item[] =>
  textsIn(json, places).map((text) => ({ ...text, isChanged: false }));

export const withItems = (json: string, items: readonly Item[]): string => {
  const changed = items.filter(({ isChanged }) => isChanged);
  return changed.length === 0 ? json : withTexts(json, changed);
};

/** One guardrail over all texts. @throws GuardrailBlocked */
export async function lookOver(items: readonly Item[], active: Active, hits: Hits): Promise<void> {
  const { guard, action } = active;
  if (guard.look === undefined) return;
  const total: Record<string, number> = {};
  for (const item of items) {
    const { voice, isJson } = item.as;
    const looked = isJson ? lookInJson(guard, item.value, voice) : guard.look(item.value, voice);
    const { text, found } = looked instanceof Promise ? await looked : looked;
    for (const [what, count = 0] of Object.entries(found)) total[what] = (total[what] ?? 0) + count;
    if (action !== 'masked' || text === item.value) continue;
    item.value = text;
    item.isChanged = true;
  }
  hits.note(active, total);
}

/** JSON in a string: its strings and numbers looked at each, so that it stays JSON. Other text as it is. */
export async function lookInJson(guard: Guard, json: string, voice: Voice): Promise<Seen> {
  if (guard.look === undefined) return { text: json, found: {} };
  try {
    JSON.parse(json);
  } catch {
    return guard.look(json, voice);
  }
  const found: Record<string, number> = {};
  const changed: { start: number; end: number; value: string }[] = [];
  for (const { start, end, value } of textsIn(json, () => true)) {
    const seen = await guard.look(value, voice);
    for (const [what, count = 0] of Object.entries(seen.found)) found[what] = (found[what] ?? 0) + count;
    if (seen.text !== value) changed.push({ start, end, value: seen.text });
  }
  return { text: withTexts(json, changed), found };
}
