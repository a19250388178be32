/**
 * Hands a stream on to the client, frame by frame: `model` says who answers, a broken stream says that it broke and
 * gets no proper end, and a slow client is waited for instead of buffered for.
 */
import type { ServerResponse } from 'node:http';
import { GuardrailBlocked } from '../governance/guards/blocked.ts';
import type { StreamGuard } from '../governance/guards/guards.ts';
import type { Maker } from '../protocols/conversation.ts';
import type { AnswerHead, AnswerWriter, Surface } from '../protocols/index.ts';
import type { AnswerStream, Piece } from './answer-stream.ts';
import { asFailure } from './attempt.ts';
import { UpstreamFailure } from './failure.ts';

export interface RelayOptions {
  readonly surface: Surface;
  /** The provider speaks the client's protocol. */
  readonly passes: boolean;
  readonly head: AnswerHead;
  /** Whose the provider's sealed reasoning is. Default: the protocol's own maker. */
  readonly maker?: Maker | undefined;
  readonly providerName: string;
  /** The client asked for the usage chunk itself. */
  readonly wantsUsage: boolean;
  readonly pingMs: number;
  /** The failure as the client is told of it, a whole frame; by the writer of the stream where there is one. */
  readonly errorFrame: (failure: UpstreamFailure, writer: AnswerWriter | null) => string;
  /** Sees each piece before the client does. */
  readonly onPiece?: ((piece: Piece) => void) | undefined;
  /** Looks at what passes, and holds back what may be part of something longer; null: it passes as it comes. */
  readonly guard?: StreamGuard | null | undefined;
  /** Sees what goes to the client, before it does. */
  readonly onText?: ((text: string) => void) | undefined;
  /** Resolves when what happened is written down: only then are the last bytes sent. */
  readonly beforeEnd: (failure: UpstreamFailure | null) => Promise<void>;
}

/** What keeps those in between from holding a stream back, or changing it. */
export const STREAM_HEADERS = {
  'cache-control': 'no-cache, no-transform',
  // For proxies of the nginx kind.
  'x-accel-buffering': 'no',
} as const;

/** Begins a stream of events, where that has not been done yet. */
export function startStream(response: ServerResponse, headers: Readonly<Record<string, string>>): void {
  if (response.headersSent) return;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader('content-type', 'text/event-stream; charset=utf-8');
  for (const [name, value] of Object.entries(STREAM_HEADERS)) response.setHeader(name, value);
}

/** @returns the failure that ended the stream, or null when it ended properly */
export async function relay(
  stream: AnswerStream,
  response: ServerResponse,
  options: RelayOptions,
): Promise<UpstreamFailure | null> {
  const { surface, passes, head, wantsUsage, pingMs, beforeEnd } = options;
  const passing = { modelId: head.modelId, wantsUsage, maker: options.maker };
  const guard = options.guard ?? null;
  const writer: AnswerWriter | null = passes ? null : surface.writer(head, passing);
  const guarded = async (text: string) => (guard === null ? text : guard.see(text));
  // A client that is slow to take what it has needs no sign of life.
  const ping = setInterval(() => !response.writableNeedDrain && response.write(surface.ping), pingMs);
  let failure: UpstreamFailure | null = null;
  /** What the protocol's own end came with: sent once all is written down. */
  let last = '';
  /** Frames that came together go out together: each write of its own costs more than all else that is done for a frame. */
  let waiting = '';
  const sendWaiting = async () => {
    const text = waiting;
    waiting = '';
    if (text !== '') await send(response, text, stream);
  };
  try {
    for (;;) {
      if (waiting !== '' && !stream.hasMore) await sendWaiting();
      const piece: Piece | null = await stream.next();
      if (piece === null) break;
      options.onPiece?.(piece);
      const frames =
        writer === null ? surface.passFrame(piece.frame, piece.events, passing) : writer.write(piece.events);
      if (frames === null || frames === '') continue;
      const text = await guarded(frames);
      if (text === '') continue;
      ping.refresh();
      if (piece.last) last = text;
      else {
        options.onText?.(text);
        waiting += text;
      }
    }
    await sendWaiting();
    clearInterval(ping);
    last += await guarded(writer === null ? surface.passEnd : writer.end());
    if (guard !== null) last += await guard.end();
    await beforeEnd(null);
    options.onText?.(last);
    // Not waited for: no clock runs any more, and a client that takes nothing is dropped below.
    if (!response.destroyed) response.write(last);
  } catch (error) {
    failure =
      error instanceof GuardrailBlocked ? refused(error) : asFailure(options.providerName, error, stream.signal);
    clearInterval(ping);
    let told = options.errorFrame(failure, writer);
    if (guard !== null && !(error instanceof GuardrailBlocked)) {
      // It may repeat what the provider has said.
      told = await guard.error(told).catch((thrown) => {
        if (!(thrown instanceof GuardrailBlocked)) throw thrown;
        failure = refused(thrown);
        return options.errorFrame(failure, writer);
      });
    }
    await beforeEnd(failure);
    if (!response.destroyed) response.write(waiting + told);
  } finally {
    clearInterval(ping);
    await stream.close();
    response.end();
    dropIfStuck(response);
  }
  return failure;
}

/** Our own doing: the provider answered as it should. */
function refused(error: GuardrailBlocked): UpstreamFailure {
  const { code, message } = error;
  const told = { message, type: 'invalid_request_error', code, param: null };
  return new UpstreamFailure(code, 'request', message, { httpStatus: 400, error: told, cause: error });
}

/** A client that takes nothing any more would hold its connection, and what was not sent, for ever. */
const STUCK_MS = 30_000;

export function dropIfStuck(response: ServerResponse): void {
  if (response.writableFinished || response.destroyed) return;
  const timer = setTimeout(() => response.destroy(), STUCK_MS);
  timer.unref();
  response.once('close', () => clearTimeout(timer));
}

async function send(response: ServerResponse, text: string, stream: AnswerStream): Promise<void> {
  if (stream.signal.aborted) throw stream.signal.reason;
  if (response.write(text)) return;
  stream.pause();
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      stream.signal.removeEventListener('abort', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
    stream.signal.addEventListener('abort', done);
  });
  if (stream.signal.aborted) throw stream.signal.reason;
}
