/**
 * Hands a stream on to the client, chunk by chunk: `model` says who answers, a broken stream says
 * that it broke and gets no `[DONE]`, and a slow client is waited for instead of buffered for.
 */
import type { ServerResponse } from 'node:http';
import { asFailure } from './attempt.ts';
import type { ChunkStream } from './chunk-stream.ts';
import { editMembers } from './edit-json.ts';
import type { UpstreamFailure } from './failure.ts';

export interface RelayOptions {
  /** Our id of the model that answers. */
  readonly modelId: string;
  readonly providerName: string;
  /** The client asked for the usage chunk itself. */
  readonly wantsUsage: boolean;
  readonly headers: Readonly<Record<string, string>>;
  /** The failure as the client is told of it, JSON text. */
  readonly errorFrame: (failure: UpstreamFailure) => string;
}

/** @returns the failure that ended the stream, or null when it ended properly */
export async function relay(
  chunks: ChunkStream,
  response: ServerResponse,
  options: RelayOptions,
): Promise<UpstreamFailure | null> {
  for (const [name, value] of Object.entries(options.headers)) response.setHeader(name, value);
  response.setHeader('content-type', 'text/event-stream; charset=utf-8');
  response.setHeader('cache-control', 'no-cache, no-transform');
  // Proxies of the nginx kind would hold the stream back otherwise.
  response.setHeader('x-accel-buffering', 'no');
  const model = JSON.stringify(options.modelId);
  let failure: UpstreamFailure | null = null;
  try {
    for (;;) {
      const chunk = await chunks.next();
      if (chunk === null) break;
      if (chunk.usageOnly && !options.wantsUsage) continue;
      await send(response, `data: ${editMembers(oneLine(chunk.data), { model })}\n\n`, chunks);
    }
    await send(response, 'data: [DONE]\n\n', chunks);
  } catch (error) {
    failure = asFailure(options.providerName, error, chunks.signal);
    if (!response.destroyed) response.write(`data: ${options.errorFrame(failure)}\n\n`);
  } finally {
    await chunks.close();
    response.end();
    dropIfStuck(response);
  }
  return failure;
}

/** A client that takes nothing any more would hold its connection, and what was not sent, for ever. */
const STUCK_MS = 30_000;

function dropIfStuck(response: ServerResponse): void {
  if (response.writableFinished || response.destroyed) return;
  const timer = setTimeout(() => response.destroy(), STUCK_MS);
  timer.unref();
  response.once('close', () => clearTimeout(timer));
}

/** JSON may be laid out over several `data:` lines; between tokens a line end is only space. */
const oneLine = (data: string): string => (data.includes('\n') ? data.replaceAll('\n', ' ') : data);

async function send(response: ServerResponse, text: string, chunks: ChunkStream): Promise<void> {
  if (chunks.signal.aborted) throw chunks.signal.reason;
  if (response.write(text)) return;
  chunks.pause();
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      chunks.signal.removeEventListener('abort', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
    chunks.signal.addEventListener('abort', done);
  });
  if (chunks.signal.aborted) throw chunks.signal.reason;
}
