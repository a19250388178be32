/** The client keys of the database, all in memory: whoever asks is looked up without a wait, and without a database that is away. */
import type { Caller } from '../../callers.ts';

export class KeyRing {
  /** No key was ever made. */
  get isEmpty(): boolean {
    return true;
  }

  /** Whose key it is; null: nobody's. @throws `UNAUTHORIZED` for one that has expired or was revoked */
  find(_key: string): Caller | null {
    return null;
  }

  /** Follows the database from now on. */
  async start(): Promise<void> {}

  async stop(): Promise<void> {}
}
