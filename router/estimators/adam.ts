/**
 * Adam, with weight decay as the published routers use it: added to the gradient.
 * @see Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015
 */
export class Adam {
  readonly #first: Float64Array;
  readonly #second: Float64Array;
  #steps = 0;

  constructor(size: number) {
    this.#first = new Float64Array(size);
    this.#second = new Float64Array(size);
  }

  /** One step down `gradient`; only the first `decayed` parameters are shrunk. */
  step(
    parameters: Float64Array,
    gradient: Float64Array,
    { rate, decay, decayed }: { rate: number; decay: number; decayed: number },
  ): void {
    const first = this.#first;
    const second = this.#second;
    this.#steps++;
    const correct1 = 1 / (1 - 0.9 ** this.#steps);
    const correct2 = 1 / (1 - 0.999 ** this.#steps);
    for (let k = 0; k < parameters.length; k++) {
      const g = gradient[k]! + (k < decayed ? decay * parameters[k]! : 0);
      first[k] = 0.9 * first[k]! + 0.1 * g;
      second[k] = 0.999 * second[k]! + 0.001 * g * g;
      parameters[k]! -= (rate * first[k]! * correct1) / (Math.sqrt(second[k]! * correct2) + 1e-8);
    }
  }
}
