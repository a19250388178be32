/** The policy in force, and what it says of a request. */
import type { Caller } from '../../callers.ts';

export interface Asking {
  readonly caller: Caller;
  /** Tags of the key, and those that the client added. */
  readonly tags: readonly string[];
  /** `chat`, `responses`, `messages`, `embeddings`, `audio` … */
  readonly surface: string;
}

export class Policies {
  /** The caller, bound by the rules for this request from here on: every outbound call goes by them. */
  govern({ caller }: Asking): Caller {
    return caller;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}
}
