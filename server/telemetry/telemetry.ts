/** Metrics and traces of what the gateway does; no text of a request is among them. */
import type { FastifyRequest } from 'fastify';
import type { AttemptRecord, DecisionRecord } from '../db/records.ts';

/** One request, from its coming to its last byte. */
export interface Trace {
  /** A call that was made for it. */
  attempt(attempt: AttemptRecord): void;
  /** The first byte of the answer goes out. */
  firstByte(): void;
  /** @param code our error code; null: it was answered. @param record absent where it was refused before it was decided on */
  end(code: string | null, record?: DecisionRecord): void;
}

const UNSEEN: Trace = { attempt() {}, firstByte() {}, end() {} };

export class Telemetry {
  begin(_request: FastifyRequest, _surface: string): Trace {
    return UNSEEN;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}
}
