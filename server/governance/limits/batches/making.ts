/** A batch while it is being made: whether its host has taken it, has refused it, or nobody knows. */
import type { AttemptRecord } from '../../../db/records.ts';
import { type Account, FREE } from '../account.ts';
import type { Batches } from './batches.ts';
import type { Reserved } from './rows.ts';

/** One that is being made, as whoever asks its host sees it. */
export interface BatchMaking extends Account {
  /** What its host says that it has made. Never rejects: the gateway finds it again. */
  made(json: Readonly<Record<string, unknown>>): Promise<void>;
  /**
   * Nothing more is heard of it. Where its host has refused it, or was not reached, all goes back; where nobody knows, it
   * stays set aside. Never rejects.
   */
  end(): Promise<void>;
}

/** Of a batch that only rates hold for: it was counted. */
export const RATED: BatchMaking = { ...FREE, made: async () => {}, end: async () => {} };

export class BatchAccount implements BatchMaking {
  readonly headers = {};
  readonly #batches: Pick<Batches, 'name' | 'refused'>;
  readonly #reserved: Reserved;
  readonly #attempts: AttemptRecord[] = [];
  #isNamed = false;

  constructor(batches: Pick<Batches, 'name' | 'refused'>, reserved: Reserved) {
    this.#batches = batches;
    this.#reserved = reserved;
  }

  note(attempt: AttemptRecord): void {
    this.#attempts.push(attempt);
  }

  close(): void {}

  async made(json: Readonly<Record<string, unknown>>): Promise<void> {
    if (typeof json.id !== 'string') return;
    this.#isNamed = true;
    await this.#batches.name(this.#reserved, json).catch(() => undefined);
  }

  async end(): Promise<void> {
    if (this.#isNamed || !this.#attempts.every(wasRefused)) return;
    await this.#batches.refused(this.#reserved).catch(() => undefined);
  }
}

/** A call that has made nothing for certain. */
const wasRefused = ({ status, httpStatus, errorCode }: AttemptRecord): boolean =>
  httpStatus === null
    ? status === 'error' && (errorCode === 'UPSTREAM_ERROR' || errorCode === 'PROVIDER_NOT_CONFIGURED')
    : httpStatus >= 400 && httpStatus < 500 && httpStatus !== 408;
