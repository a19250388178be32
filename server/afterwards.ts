/** Work on a request whose answer is out: verdicts on it, audits, texts that are kept by choice. No client waits for it. */
import type { FastifyBaseLogger } from 'fastify';
import type { Caller } from './callers.ts';
import type { DecisionRecord } from './db/records.ts';
import type { Target } from './forward/target.ts';
import type { Answer, Conversation } from './protocols/conversation.ts';
import type { ChatName } from './protocols/index.ts';

export interface Finished {
  readonly record: DecisionRecord;
  readonly caller: Caller;
  readonly surface: ChatName;
  /** The client's request, without what is the gateway's own. */
  readonly json: Readonly<Record<string, unknown>>;
  /** What the client expects of the answer (`routing.expected`), for verifiers; never written down. */
  readonly expected: string | undefined;
  /** Null where only its provider can read the request. */
  readonly conversation: Conversation | null;
  /** Whole, also where it was streamed; null where it broke off, or a stream grew beyond `answerLimitMb`. */
  readonly answer: Answer | null;
  readonly target: Target;
  /** Calls made for it so far: those made afterwards are counted on from there. */
  readonly attempts: number;
  readonly log: FastifyBaseLogger;
}

/** One kind of such work. */
export interface Afterwork {
  readonly name: string;
  /** Whether it wants this request, asked before the answer comes: only then is a stream put together again. */
  wants(record: DecisionRecord, caller: Caller, expected: string | undefined): boolean;
  /**
   * Never waited for by a client; of what it throws the code is logged.
   * @param signal aborted when the gateway stops and has waited long enough
   */
  run(finished: Finished, signal: AbortSignal): Promise<void>;
  /** What came of it since the start, by words of its own: for `/metrics`. */
  readonly counts?: Readonly<Record<string, number>>;
  /** Lets go of what it holds; called once, when the gateway has stopped. */
  close?(): Promise<void>;
}

/** A request whose answer is out, on its way to who wants it. */
export interface Job {
  readonly works: readonly Afterwork[];
  /** Characters of request and answer, which it keeps in memory. */
  readonly chars: number;
  readonly log: FastifyBaseLogger;
  /** Made when its turn comes. */
  readonly finished: () => Finished;
}

export interface QueueLimits {
  /** At work at once, of each kind of work. */
  readonly atWork: number;
  /** Waiting, of each kind. */
  readonly waiting: number;
  /** Characters of all that is at work or waits. */
  readonly chars: number;
}

/** A verifier takes seconds, an answer 4 kB: an hour of trouble with one costs megabytes, not gigabytes. */
const LIMITS: QueueLimits = { atWork: 8, waiting: 256, chars: 64 * 1024 * 1024 };

/** How often it is told that answers are passed over. */
const COMPLAIN_MS = 10_000;
/** What aborted work gets to end in. */
const LAST_WORDS_MS = 500;

interface Lane {
  readonly waiting: Job[];
  atWork: number;
}

/**
 * Each kind of work has a lane of its own, so that a slow verifier holds up nobody else; what does not fit is dropped, the
 * newest first, and counted.
 */
export class AfterworkQueue {
  readonly #works: readonly Afterwork[];
  readonly #limits: QueueLimits;
  readonly #lanes = new Map<string, Lane>();
  /** Works that each job is still to have. */
  readonly #left = new Map<Job, number>();
  readonly #abort = new AbortController();
  #chars = 0;
  #stopped: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;
  #complainedAt = Number.NEGATIVE_INFINITY;
  #done = 0;
  #failed = 0;
  #dropped = 0;

  /** @param works may grow and shrink */
  constructor(works: readonly Afterwork[], limits: Partial<QueueLimits> = {}) {
    this.#works = works;
    this.#limits = { ...LIMITS, ...limits };
  }

  /** Now, and since the start. */
  get state() {
    let waiting = 0;
    let atWork = 0;
    for (const lane of this.#lanes.values()) {
      waiting += lane.waiting.length;
      atWork += lane.atWork;
    }
    return { waiting, atWork, done: this.#done, failed: this.#failed, dropped: this.#dropped };
  }

  /** Who wants this request. */
  wanting(record: DecisionRecord, caller: Caller, expected: string | undefined): Afterwork[] {
    // Most gateways have nothing of the kind.
    if (this.#works.length === 0 || this.#stopped !== null) return [];
    return this.#works.filter((work) => work.wants(record, caller, expected));
  }

  add(job: Job): void {
    const fits = this.#left.size === 0 || this.#chars + job.chars <= this.#limits.chars;
    const works = this.#stopped !== null || !fits ? [] : job.works.filter((work) => this.#hasRoom(work));
    this.#drop(job.works.length - works.length, job.log);
    if (works.length === 0) return;
    this.#chars += job.chars;
    this.#left.set(job, works.length);
    for (const work of works) this.#laneOf(work).waiting.push(job);
    // Not now: whoever calls has bytes to send.
    setImmediate(() => {
      for (const work of works) this.#next(work);
    });
  }

  /**
   * Takes nothing more, finishes what is there within the time given, and drops and counts the rest.
   * @param withinMs of the first call
   */
  stop(withinMs: number): Promise<void> {
    this.#stopped ??= this.#stop(withinMs);
    return this.#stopped;
  }

  async #stop(withinMs: number): Promise<void> {
    if (withinMs > 0) await this.#idle(withinMs);
    for (const { waiting } of this.#lanes.values()) {
      const [first] = waiting;
      if (first !== undefined) this.#drop(waiting.length, first.log);
      for (const job of waiting.splice(0)) this.#letGo(job);
    }
    if (this.#left.size > 0) {
      this.#abort.abort(new Error('the gateway stops'));
      await this.#idle(LAST_WORDS_MS);
    }
    await Promise.allSettled(this.#works.map((work) => work.close?.()));
  }

  /** Resolves when nothing is left, or time is up. */
  async #idle(ms: number): Promise<void> {
    if (this.#left.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#onIdle = null;
  }

  #laneOf({ name }: Afterwork): Lane {
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = { waiting: [], atWork: 0 };
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  #hasRoom(work: Afterwork): boolean {
    const { waiting, atWork } = this.#laneOf(work);
    return waiting.length < this.#limits.waiting + Math.max(0, this.#limits.atWork - atWork);
  }

  #next(work: Afterwork): void {
    const lane = this.#laneOf(work);
    while (lane.atWork < this.#limits.atWork) {
      const job = lane.waiting.shift();
      if (job === undefined) return;
      lane.atWork++;
      void this.#work(work, job).then(() => {
        lane.atWork--;
        this.#letGo(job);
        this.#next(work);
      });
    }
  }

  async #work(work: Afterwork, job: Job): Promise<void> {
    try {
      await work.run(job.finished(), this.#abort.signal);
      this.#done++;
    } catch (error) {
      if (this.#abort.signal.aborted) {
        this.#dropped++;
        return;
      }
      this.#failed++;
      // A message may quote what it is about.
      job.log.warn({ work: work.name, code: codeOf(error) }, 'work on an answer that is out failed');
    }
  }

  #letGo(job: Job): void {
    const left = this.#left.get(job)! - 1;
    if (left > 0) {
      this.#left.set(job, left);
      return;
    }
    this.#left.delete(job);
    this.#chars -= job.chars;
    if (this.#left.size === 0) this.#onIdle?.();
  }

  #drop(count: number, log: FastifyBaseLogger): void {
    if (count === 0) return;
    this.#dropped += count;
    const now = performance.now();
    if (now - this.#complainedAt < COMPLAIN_MS) return;
    this.#complainedAt = now;
    log.warn({ dropped: this.#dropped }, 'answers are not looked at: too many wait, or the gateway stops');
  }
}

/** What is safe to log of an error. */
export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'INTERNAL';
}
