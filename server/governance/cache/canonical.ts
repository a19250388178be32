/**
 * JSON texts that mean the same → the same text: members in order of their names, no white space, strings escaped in one way.
 * Read from the text, not from what `JSON.parse` makes of it: that rounds large numbers and drops repeated members, and
 * the provider gets them as they were written.
 */

/**
 * @param text valid JSON, nested less deeply than the stack allows (`api/body.ts` sees to both)
 * @param without members of the outermost object that are left out
 */
export function canonicalJson(text: string, without: ReadonlySet<string> = new Set()): string {
  return new Reader(text).value(without);
}

class Reader {
  readonly #text: string;
  #at = 0;
  /** The next one from here on, or one behind. */
  #backslash = -1;

  constructor(text: string) {
    this.#text = text;
  }

  value(without?: ReadonlySet<string>): string {
    this.#space();
    const c = this.#text[this.#at];
    if (c === '{') return this.#object(without);
    if (c === '[') return this.#list();
    return c === '"' ? JSON.stringify(this.#string()) : this.#word();
  }

  #object(without: ReadonlySet<string> | undefined): string {
    const members: [name: string, value: string][] = [];
    this.#at++;
    for (this.#space(); this.#text[this.#at] !== '}'; this.#space()) {
      if (this.#text[this.#at] === ',') {
        this.#at++;
        this.#space();
      }
      const name = this.#string();
      this.#space();
      // The colon.
      this.#at++;
      const value = this.value();
      if (without?.has(name) !== true) members.push([name, value]);
    }
    this.#at++;
    // Stable: a name that is repeated keeps its order, which decides what it means.
    members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
  }

  #list(): string {
    const items: string[] = [];
    this.#at++;
    for (this.#space(); this.#text[this.#at] !== ']'; this.#space()) {
      if (this.#text[this.#at] === ',') this.#at++;
      items.push(this.value());
    }
    this.#at++;
    return `[${items.join(',')}]`;
  }

  #string(): string {
    const from = this.#at + 1;
    let end = this.#text.indexOf('"', from);
    // Looked for once, not for each string: most texts have none.
    if (this.#backslash < from) this.#backslash = this.#text.indexOf('\\', from);
    if (this.#backslash < 0) this.#backslash = Number.POSITIVE_INFINITY;
    if (this.#backslash > end) {
      this.#at = end + 1;
      return this.#text.slice(from, end);
    }
    for (end = this.#backslash; this.#text[end] !== '"'; end++) if (this.#text[end] === '\\') end++;
    this.#at = end + 1;
    return JSON.parse(this.#text.slice(from - 1, end + 1)) as string;
  }

  /** A number, as it was written, or a word. */
  #word(): string {
    const from = this.#at;
    while (this.#at < this.#text.length && !/[\s,\]}]/.test(this.#text[this.#at]!)) this.#at++;
    return this.#text.slice(from, this.#at);
  }

  #space(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return;
      this.#at++;
    }
  }
}
