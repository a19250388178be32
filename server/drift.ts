/** How many of the latest prompts are unlike the training data: what a certificate expires on. */

/** Prompts looked back on, and how many it takes to say anything. */
const WINDOW = 1000;
const LEAST = 200;

export class Drift {
  #artifact = '';
  readonly #latest: boolean[] = [];

  /** @param artifact hash of the router that saw the prompt; a new one starts anew */
  note(artifact: string, isFar: boolean): void {
    if (artifact !== this.#artifact) {
      this.#artifact = artifact;
      this.#latest.length = 0;
    }
    this.#latest.push(isFar);
    if (this.#latest.length > WINDOW) this.#latest.shift();
  }

  /** In [0, 1]; null while too few were seen. */
  share(artifact: string): number | null {
    if (artifact !== this.#artifact || this.#latest.length < LEAST) return null;
    return this.#latest.filter(Boolean).length / this.#latest.length;
  }
}
