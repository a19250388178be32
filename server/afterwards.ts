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
  readonly conversation: Conversation;
  /** Whole, also where it was streamed; null where it broke off. */
  readonly answer: Answer | null;
  readonly target: Target;
  readonly log: FastifyBaseLogger;
}

/** One kind of such work. */
export interface Afterwork {
  readonly name: string;
  /** Whether it wants this request, asked before the answer comes: only then is a stream put together again. */
  wants(record: DecisionRecord, caller: Caller): boolean;
  /** Never waited for by a client; what it throws is logged. */
  run(finished: Finished): Promise<void>;
}
