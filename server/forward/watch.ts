/** Ends a call for whichever comes first: its client leaves, a stage takes too long, the gateway stops. */
import { type ErrorCode, RoutingError } from '../../datasets/index.ts';

/** Why a request was given up as a whole; goes to its signal's `reason`. */
export class GivenUp extends RoutingError {
  readonly clientLeft: boolean;

  constructor(code: ErrorCode, message: string, clientLeft = false) {
    super(code, message);
    this.clientLeft = clientLeft;
  }
}

/** One request's life: aborted when its client leaves, its total time is up, or the gateway stops. */
export class RequestLife {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(totalMs: number) {
    this.#timer = setTimeout(() => {
      this.giveUp(new GivenUp('UPSTREAM_TIMEOUT', `no complete answer within ${totalMs} ms, all attempts together`));
    }, totalMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  giveUp(reason: GivenUp): void {
    if (!this.signal.aborted) this.#controller.abort(reason);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/** One attempt's clock: a stage that takes longer than armed for aborts the attempt. */
export class AttemptClock {
  readonly #controller = new AbortController();
  readonly #life: AbortSignal;
  readonly #onLifeEnd = () => this.#controller.abort(this.#life.reason);
  #timer: NodeJS.Timeout | undefined;
  #ms = 0;
  #stage = '';

  constructor(life: AbortSignal) {
    this.#life = life;
    if (life.aborted) this.#onLifeEnd();
    else life.addEventListener('abort', this.#onLifeEnd, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts or restarts the clock for a stage. */
  arm(ms: number, stage: string): void {
    this.#stage = stage;
    if (this.#timer !== undefined && this.#ms === ms) {
      this.#timer.refresh();
      return;
    }
    clearTimeout(this.#timer);
    this.#ms = ms;
    this.#timer = setTimeout(() => {
      this.#controller.abort(new RoutingError('UPSTREAM_TIMEOUT', `no ${this.#stage} within ${ms} ms`));
    }, ms);
  }

  /** Stops the clock: what we wait for now is not the provider's doing. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  end(): void {
    this.pause();
    this.#life.removeEventListener('abort', this.#onLifeEnd);
  }
}
