/** From an answer on its way to its client to those who look at it when it is out. */
import type { FastifyReply } from 'fastify';
import type { Afterwork, Finished } from '../afterwards.ts';
import type { Asked } from '../forward/exchange.ts';
import type { OpenCall } from '../forward/forward.ts';
import type { Gateway } from '../gateway.ts';
import { Collector } from '../protocols/collector.ts';
import type { Answer, AnswerEvent, Conversation } from '../protocols/conversation.ts';
import type { Exchange, Incoming } from './exchange.ts';

/** Watches one answer for those who want it. */
export interface AnswerFollower {
  /** Sees each piece of a stream. */
  see(events: readonly AnswerEvent[]): void;
  /** The stream ended; broken or not. */
  streamed(call: OpenCall, isWhole: boolean): void;
  /** A whole answer. @param chars of its text */
  answered(call: OpenCall, answer: Answer, chars: number): void;
}

/** Null where nobody wants it: then nothing is kept of it. */
export function followerOf(
  gateway: Gateway,
  { surface, caller, wishes, request }: Incoming,
  { record }: Exchange,
  asked: Asked,
  reply: FastifyReply,
): AnswerFollower | null {
  if (surface === 'embeddings') return null;
  const { expected } = wishes.routing;
  const works: readonly Afterwork[] = gateway.afterwork.wanting(record, caller, expected);
  if (works.length === 0) return null;
  const { log } = request;
  let collector: Collector | null = null;
  const hand = ({ target, attempts }: OpenCall, answer: Answer | null, answerChars: number) => {
    const finished = (): Finished => ({
      record,
      caller,
      surface,
      json: asked.json,
      expected,
      conversation: conversationOf(asked),
      answer,
      target,
      attempts,
      log,
    });
    const chars = asked.text.length + answerChars;
    whenOut(reply, () => gateway.afterwork.add({ works, chars, log, finished }));
  };
  return {
    see(events) {
      collector ??= new Collector(gateway.config.answerLimitMb * 1024 * 1024);
      collector.add(events);
    },
    streamed: (call, isWhole) => hand(call, isWhole ? (collector?.answer() ?? null) : null, collector?.chars ?? 0),
    answered: hand,
  };
}

function conversationOf({ conversation }: Asked): Conversation | null {
  try {
    return conversation();
  } catch {
    return null;
  }
}

/** After the last byte, or when the client is gone. */
function whenOut({ raw }: FastifyReply, then: () => void): void {
  if (raw.writableFinished || raw.destroyed) {
    then();
    return;
  }
  let isOver = false;
  const once = () => {
    if (isOver) return;
    isOver = true;
    then();
  };
  raw.once('finish', once);
  raw.once('close', once);
}
