/** What an import left behind and why, and the secrets that it must not copy. */

export class Notes {
  readonly #lines = new Set<string>();
  /** Secrets of the file by the variable that is to hold them. Never printed. */
  readonly #secrets = new Map<string, string>();
  readonly #taken: ReadonlySet<string>;

  /** @param taken  variables that mean something already */
  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken);
  }

  /** One line each, each once. */
  get lines(): readonly string[] {
    return [...this.#lines];
  }

  /** @param at  where it stands in the file; never with a value, which could be a secret */
  leave(at: string, why: string): void {
    this.#lines.add(`${at}: ${why}`);
  }

  /** The variable that is to hold a secret of the file; the same secret, the same variable. */
  variableFor(secret: string, words: string, at: string): string {
    for (const [variable, known] of this.#secrets) if (known === secret) return variable;
    const base = words
      .toUpperCase()
      .replace(/\W+/g, '_')
      .replace(/^[_\d]+|_+$/g, '');
    let variable = base;
    for (let i = 2; this.#secrets.has(variable) || this.#taken.has(variable); i++) variable = `${base}_${i}`;
    this.#secrets.set(variable, secret);
    this.leave(at, `stands in the file in plain text and was not copied; set ${variable} to it`);
    return variable;
  }
}
