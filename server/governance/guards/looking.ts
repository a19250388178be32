/** Applies guardrails to texts one after the other, each to what the one before it left, and takes down what they find. */
import { RoutingError } from '../../../datasets/index.ts';
import type { GuardHit } from '../../db/records.ts';
import { GuardrailBlocked } from './blocked.ts';
import { Breath } from './breath.ts';
import { lookIntoBytes, type ReadOver } from './inline-files.ts';
import { type Path, textsIn, type Wanted, withTexts } from './json-texts.ts';
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
  /** What is done with what it cannot look into; null: it passes. */
  readonly unreadable: GuardHit['action'] | null;
  /** Of all that the rule says: what was looked at under it was looked at under the same. */
  readonly mark: string;
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

  /**
   * @param unread what could not be looked into, where that is what was found
   * @throws GuardrailBlocked where the rule blocks and something was found
   */
  note({ rule, action }: Active, found: Found, unread?: string): void {
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
    if (isFound && action === 'blocked') {
      throw new GuardrailBlocked(rule.name, this.#where, structuredClone(this.#all), unread);
    }
  }
}

export interface Item {
  readonly start: number;
  readonly end: number;
  readonly as: Place;
  value: string;
  isChanged: boolean;
  /** Of a file: where in the request it stands. */
  readonly at?: string;
}

/** Strings of one request, line or document; what has more is not looked at one by one. */
export const MOST_STRINGS = 100_000;

/** Names of members may be anybody's words, which are in no message. */
const pathOf = (path: Path): string =>
  path.map((step) => (typeof step === 'number' || /^[a-z_]{1,24}$/.test(step) ? step : '…')).join('.');

/**
 * @param breath of all that is done for the request: there may be hundreds of thousands of strings
 * @param most   once there are more, the rest is left out
 */
export async function itemsIn(
  json: string,
  places: Wanted<Place>,
  names?: (name: string) => Place | null,
  breath: Breath = new Breath(),
  most = Number.POSITIVE_INFINITY,
): Promise<Item[]> {
  const items: Item[] = [];
  let at = '';
  const all = textsIn(
    json,
    (path, literal) => {
      const place = places(path, literal);
      if (place?.isBytes) at = pathOf(path);
      return place;
    },
    names,
  );
  for (const found of all) {
    if (breath.isDue) await breath.take();
    if (found === null) continue;
    const { start, end, value, as } = found;
    items.push({ start, end, value, as, isChanged: false, ...(as.isBytes && { at }) });
    if (items.length > most) break;
  }
  return items;
}

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
  const unread: Item[] = [];
  const note = (found: Found) => {
    for (const [what, count = 0] of Object.entries(found)) total[what] = (total[what] ?? 0) + count;
  };
  const foundOf = new Map<Item, Found>();
  for (const item of items) {
    const { voice, isJson, isFixed, isBytes, list } = item.as;
    // It could not be masked, so a rule that masks does not look.
    if (isFixed && isMasking) continue;
    if (breath.isDue) await breath.take();
    const inJson = (json: string) => lookInJson(guard, json, voice, breath, !isMasking);
    const looked: ReadOver | Promise<ReadOver> = isBytes
      ? lookIntoBytes(item.value, inJson)
      : isJson
        ? inJson(item.value)
        : guard.look(item.value, voice);
    const { text, found, isUnread = false } = looked instanceof Promise ? await looked : looked;
    if (isUnread) unread.push(item);
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
  noteUnread(hits, active, unread.length, unread[0]?.at);
  hits.note(active, total);
}

/** All guardrails over all texts. @throws GuardrailBlocked */
export async function lookAll(
  active: readonly Active[],
  items: readonly Item[],
  hits: Hits,
  answers: () => readonly string[],
  breath: Breath = new Breath(),
): Promise<void> {
  for (const one of active) {
    await lookOver(items, one, hits, breath);
    if (one.guard.judge !== undefined) await judge(one, items, hits, answers);
  }
}

/** Where nothing is in the texts that any of them looks for: what they say of the whole. @throws GuardrailBlocked */
export async function judgeAll(
  active: readonly Active[],
  items: readonly Item[],
  hits: Hits,
  answers: () => readonly string[],
): Promise<void> {
  for (const one of active) if (one.guard.judge !== undefined) await judge(one, items, hits, answers);
}

async function judge(active: Active, items: readonly Item[], hits: Hits, answers: () => readonly string[]) {
  const chars = items.reduce(
    (sum, { value, as }) => sum + (as.isFixed || as.isBytes || as.isBeside ? 0 : value.length),
    0,
  );
  hits.note(active, await active.guard.judge!({ chars, answers: active.rule.kind === 'schema' ? answers() : [] }));
}

/** What is embedded may come as ids of tokens, which only its provider can read. @throws INVALID_REQUEST */
export function refuseTokens(active: readonly Active[], { input }: Readonly<Record<string, unknown>>): void {
  const acting = active.find(({ guard, action }) => guard.look !== undefined && action !== 'noticed');
  if (acting === undefined || !Array.isArray(input)) return;
  if (!input.flat(Number.POSITIVE_INFINITY).some((item) => typeof item === 'number')) return;
  throw new RoutingError(
    'INVALID_REQUEST',
    `input: the guardrail “${acting.rule.name}” reads texts and no ids of tokens; send the texts themselves`,
  );
}

/**
 * @param count of files and the like that could not be looked into
 * @param what  the first of them, as it is said to the client
 * @throws GuardrailBlocked where the rule does not let such pass
 */
export function noteUnread(hits: Hits, active: Active, count: number, what?: string): void {
  if (active.unreadable !== null) hits.note({ ...active, action: active.unreadable }, { unreadable: count }, what);
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
  for (const one of textsIn<boolean>(json, () => true, names)) {
    if (breath.isDue) await breath.take();
    if (one === null) continue;
    const { start, end, value } = one;
    const looked = guard.look(value, voice);
    const seen = looked instanceof Promise ? await looked : looked;
    for (const [what, count = 0] of Object.entries(seen.found)) found[what] = (found[what] ?? 0) + count;
    if (seen.text !== value) changed.push({ start, end, value: seen.text });
  }
  return { text: withTexts(json, changed), found };
}
