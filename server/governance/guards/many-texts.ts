/**
 * Which of many short texts hold anything that rules look for: they are looked at together, and apart only where something
 * is found, since to look at a text at all costs as much as some hundred characters of it.
 */
import type { Breath } from './breath.ts';
import type { Active, Item } from './looking.ts';
import { listsOf } from './seams.ts';

/**
 * Stands between two texts. Whatever a separable guardrail finds in one of them begins and ends at its ends as it does at a
 * line's; what it finds across it makes suspects of texts that are none, which are then looked at by themselves.
 *
 * @see Guard.isSeparable
 */
export const BETWEEN = '\n|\n';

/** Characters of those that are looked at together; to look at longer ones by themselves costs little more. */
const MOST_CHARS = 400;
/** Rows that are looked at together: more where nothing was found in the last ones, fewer where something was. */
const MOST_ROWS = 64;
const FIRST_ROWS = 16;
/** Into so many parts are those cut in which something was found; what cannot be cut is suspect. */
const PARTS = 4;

/** Texts that are looked at, or not, as one; and the rules that they are under. */
interface Row {
  readonly items: readonly Item[];
  readonly active: readonly Active[];
}

export class Together {
  readonly #breath: Breath;
  #size = FIRST_ROWS;

  constructor(breath: Breath) {
    this.#breath = breath;
  }

  /** By row: false where none of its rules finds anything in it. What is judged as a whole is not asked here. */
  async suspectsAmong(rows: readonly Row[]): Promise<readonly boolean[]> {
    const suspects = rows.map((row) => !isShort(row));
    for (let at = 0; at < rows.length; ) {
      if (this.#breath.isDue) await this.#breath.take();
      if (this.#size === 1) {
        suspects[at++] = true;
        this.#size = 2;
        continue;
      }
      const to = Math.min(at + this.#size, rows.length);
      const isClear = await this.#narrow(rows, at, to, suspects);
      this.#size = isClear ? Math.min(2 * this.#size, MOST_ROWS) : Math.max(1, Math.floor(this.#size / PARTS));
      at = to;
    }
    return suspects;
  }

  /** @returns whether there is nothing in them */
  async #narrow(rows: readonly Row[], from: number, to: number, suspects: boolean[]): Promise<boolean> {
    const texts = new Texts();
    for (let i = from; i < to; i++) if (!suspects[i]) texts.add(rows[i]!);
    if (!(await texts.holdAnything())) return true;
    const step = Math.ceil((to - from) / PARTS);
    for (let at = from; at < to; at += step) {
      if (step === 1) suspects[at] = true;
      else await this.#narrow(rows, at, Math.min(at + step, to), suspects);
    }
    return false;
  }
}

/** Nothing in it is a file, or JSON in a string, and there is not much of it. */
function isShort({ items }: Row): boolean {
  let chars = 0;
  for (const { as, value } of items) {
    chars += value.length;
    if (as.isBytes || as.isJson || chars > MOST_CHARS) return false;
  }
  return true;
}

/** By the rules that hold for them, whose they are, and whether they could be changed. */
class Texts {
  readonly #of = new Map<readonly Active[], Map<string, string[]>>();

  add({ items, active }: Row): void {
    let byVoice = this.#of.get(active);
    if (byVoice === undefined) {
      byVoice = new Map();
      this.#of.set(active, byVoice);
    }
    let hasLists = false;
    for (const { as, value } of items) {
      hasLists ||= as.list !== undefined;
      put(byVoice, as, value);
    }
    if (!hasLists) return;
    for (const parts of listsOf(items)) {
      const values = parts.map(({ value }) => value);
      for (const between of ['', '\n']) put(byVoice, parts[0]!.as, values.join(between));
    }
  }

  async holdAnything(): Promise<boolean> {
    for (const [active, byVoice] of this.#of) {
      for (const { guard, rule } of active) {
        if (guard.look === undefined) continue;
        if (!guard.isSeparable) return true;
        for (const [key, texts] of byVoice) {
          const [voice, fixed] = key.split(' ');
          // It could not be masked, so a rule that masks does not look.
          if (fixed === 'fixed' && rule.action === 'mask') continue;
          const looked = guard.look(texts.join(BETWEEN), voice as Item['as']['voice']);
          const { found } = looked instanceof Promise ? await looked : looked;
          for (const count of Object.values(found)) if (count! > 0) return true;
        }
      }
    }
    return false;
  }
}

function put(byVoice: Map<string, string[]>, { voice, isFixed }: Item['as'], value: string): void {
  const key = isFixed ? `${voice} fixed` : voice;
  const texts = byVoice.get(key);
  if (texts === undefined) byVoice.set(key, [value]);
  else texts.push(value);
}
