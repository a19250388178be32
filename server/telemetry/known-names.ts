/** Names that may be a label of a metric: those that the catalog and the configuration know. Anybody can write any other. */
import { providerOf } from '../../datasets/catalog/candidate.ts';
import type { Setup } from '../gateway.ts';

/** What stands for all names that are not known. */
export const OTHER = 'other';
/** Where there is nothing to name. */
export const NONE = 'none';

/** Names let through in the life of a process: a configuration that changes for ever adds no more series than that. */
const MOST_NAMES = 1000;

type Known = Pick<Setup, 'config' | 'providers'> & { readonly models: Pick<Setup['models'], 'catalog'> };

export class KnownNames {
  readonly #setup: () => Known;
  readonly #models: Admitted;
  readonly #providers: Admitted;
  #of: Known | undefined;
  #modelIds: ReadonlySet<string> = new Set();
  #providerNames: ReadonlySet<string> = new Set();

  /** @param setup what is in force now */
  constructor(setup: () => Known, most = MOST_NAMES) {
    this.#setup = setup;
    this.#models = new Admitted(most);
    this.#providers = new Admitted(most);
  }

  model(id: string | null | undefined): string {
    if (id == null || id === '') return NONE;
    this.#look();
    return this.#modelIds.has(id) ? this.#models.admit(id) : OTHER;
  }

  provider(name: string | null | undefined): string {
    if (name == null || name === '') return NONE;
    this.#look();
    return this.#providerNames.has(name) ? this.#providers.admit(name) : OTHER;
  }

  /** Read anew only when the configuration has changed. */
  #look(): void {
    const setup = this.#setup();
    if (setup === this.#of) return;
    this.#of = setup;
    const { config, providers, models } = setup;
    this.#modelIds = new Set([...models.catalog.models.map(({ id }) => id), ...Object.keys(config.models)]);
    // One that was on may still be called by requests that began with it.
    this.#providerNames = new Set(['sandbox', ...providers.keys(), ...[...this.#modelIds].map(providerOf)]);
  }
}

class Admitted {
  readonly #names = new Set<string>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  admit(name: string): string {
    if (this.#names.has(name)) return name;
    if (this.#names.size >= this.#most) return OTHER;
    this.#names.add(name);
    return name;
  }
}

/** @returns the word if it is one of these, which are words of ours; else `other` */
export const wordOf = (words: ReadonlySet<string>, word: string): string => (words.has(word) ? word : OTHER);
