/** The rules that one file is looked at under: which hold for which part of it, what they found, what they could not look into. */
import { BATCHED } from './batch-lines.ts';
import { Breath } from './breath.ts';
import { type Active, type Hits, type Item, lookAll, lookOver, noteUnread } from './looking.ts';
import { PLACES } from './places.ts';

export class FileRules {
  readonly breath = new Breath();
  readonly hits: Hits;
  readonly #activeFor: (surface: string) => readonly Active[];
  readonly #of = new Map<readonly string[], readonly Active[]>();
  /** Marks of the rules that all of it was looked at under. */
  #marks: ReadonlySet<string> | null = null;
  #lastMarked: readonly Active[] | null = null;
  #isUnread = false;

  /** @param activeFor what holds for a file; and for a request of a batch, by the surface of the endpoint that it names */
  constructor(activeFor: (surface: string) => readonly Active[], hits: Hits) {
    this.#activeFor = activeFor;
    this.hits = hits;
  }

  /** Some may change or refuse it. */
  get holds(): boolean {
    return ['files', ...BATCHED]
      .flatMap(this.#activeFor)
      .some(({ action, unreadable }) => action !== 'noticed' || unreadable === 'blocked');
  }

  get ofFiles(): readonly Active[] {
    return this.#activeFor('files');
  }

  /** Those of files, and those of the endpoints. @param surfaces one of a few lists, which are known again */
  for(surfaces: readonly string[]): readonly Active[] {
    const known = this.#of.get(surfaces);
    if (known !== undefined) return known;
    const all = new Map(this.#activeFor('files').map((one) => [one.rule.name, one]));
    for (const one of surfaces.flatMap(this.#activeFor)) if (!all.has(one.rule.name)) all.set(one.rule.name, one);
    const active = [...all.values()];
    this.#of.set(surfaces, active);
    return active;
  }

  /** It is looked at under these, and no others. */
  mark(active: readonly Active[]): void {
    if (active === this.#lastMarked) return;
    this.#lastMarked = active;
    const marks = marksOf(active);
    this.#marks = this.#marks === null ? marks : new Set([...this.#marks].filter((mark) => marks.has(mark)));
  }

  /** @throws GuardrailBlocked */
  async look(items: readonly Item[], active: readonly Active[] = this.ofFiles): Promise<void> {
    this.mark(active);
    await lookAll(active, items, this.hits, () => [], this.breath);
  }

  /**
   * A name that stands beside it: of its file, or of what it is.
   *
   * @param isFixed it can be refused, but not changed
   * @throws GuardrailBlocked
   */
  async lookAtName(name: string, isFixed: boolean): Promise<string> {
    const as = isFixed ? ({ ...PLACES.user[0], isFixed } as const) : PLACES.user[0];
    const item: Item = { as, start: 0, end: name.length, value: name, isChanged: false };
    // A name is no prompt: what is judged as a whole is not.
    for (const active of this.ofFiles) await lookOver([item], active, this.hits, this.breath);
    return item.value;
  }

  /**
   * @param what     of it could not be looked into
   * @param surfaces whose rules mind, beside those of files
   * @throws GuardrailBlocked
   */
  unread(what: string, surfaces: readonly string[]): void {
    if (this.#isUnread) return;
    this.#isUnread = true;
    for (const active of this.for(surfaces)) noteUnread(this.hits, active, 1, what);
  }

  /** Marks of the rules that minded had it been unreadable. */
  get marks(): readonly string[] {
    return this.#isUnread ? [] : [...(this.#marks ?? marksOf(this.ofFiles))];
  }
}

/** Of rules that mind what they did not see. */
const marksOf = (active: readonly Active[]): ReadonlySet<string> =>
  new Set(active.flatMap(({ unreadable, mark }) => (unreadable === null ? [] : [mark])));
