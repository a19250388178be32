/** Guardrails: what of a prompt or an answer must not pass is masked, blocked or noticed. */
import type { FastifyBaseLogger } from 'fastify';
import type { Caller } from '../../callers.ts';
import type { GuardHit } from '../../db/records.ts';
import type { AnswerEvent } from '../../protocols/conversation.ts';
import type { SurfaceName } from '../../protocols/index.ts';

type Json = Readonly<Record<string, unknown>> & { readonly model: string };

export interface GuardedRequest {
  readonly caller: Caller;
  readonly surface: SurfaceName;
  readonly json: Json;
  /** The same as text, which is what a provider of the client's protocol gets. */
  readonly text: string;
  readonly log: FastifyBaseLogger;
}

export interface Passed {
  readonly json: Json;
  readonly text: string;
  readonly hits: readonly GuardHit[];
}

export interface GuardedAnswer {
  readonly caller: Caller;
  readonly surface: SurfaceName;
  /** What the client asked, for guards of the answer's form. */
  readonly request: Json;
  /** In the client's protocol. */
  readonly text: string;
  readonly log: FastifyBaseLogger;
}

/** Looks at a stream on its way. What may be part of something longer is held back until it is known. */
export interface StreamGuard {
  /** @returns what may go on now. @throws `GUARDRAIL_BLOCKED` */
  see(events: readonly AnswerEvent[]): readonly AnswerEvent[];
  /** @returns what was held back, at the end. @throws `GUARDRAIL_BLOCKED` */
  end(): readonly AnswerEvent[];
  /** Up to now. */
  readonly hits: readonly GuardHit[];
}

export class Guards {
  /** @throws `GUARDRAIL_BLOCKED`, which carries its hits */
  async before({ json, text }: GuardedRequest): Promise<Passed> {
    return { json, text, hits: [] };
  }

  /** A whole answer. @throws `GUARDRAIL_BLOCKED`, which carries its hits */
  async after({ text }: GuardedAnswer): Promise<{ readonly text: string; readonly hits: readonly GuardHit[] }> {
    return { text, hits: [] };
  }

  /** Null where nothing of the answer is looked at: then it passes as it comes. */
  stream(_answer: Omit<GuardedAnswer, 'text'>): StreamGuard | null {
    return null;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}
}
