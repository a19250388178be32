/** A reply as its connection brings it: the head once, then bytes for whoever takes them. Lighter than a stream of Node's, of which every call would need one. */
import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Read once, one piece asked for after the other. Leaving the loop early hangs up. */
  readonly body: AsyncIterableIterator<Uint8Array>;
}

/** Bytes that may wait for a slow reader before the host is slowed down: as in Node's own streams of files. */
const MOST_WAITING_BYTES = 64 * 1024;

const OVER = Promise.resolve({ value: undefined, done: true } as const);

/**
 * Resolves when the reply's head is there, whatever its status.
 * @param options as undici's dispatchers take them
 * @param signal ends the call, and the body in mid-read, with its reason
 * @throws undici's and Node's errors when the connection fails
 */
export function requestOn(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  signal?: AbortSignal,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const reader = new ReplyReader(options.body, signal, resolve, reject);
    try {
      dispatcher.dispatch(options, reader);
    } catch (error) {
      reader.fail(error);
    }
  });
}

class ReplyReader implements Dispatcher.DispatchHandler, AsyncIterableIterator<Uint8Array> {
  readonly #sent: unknown;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.#hangUp(this.#signal!.reason);
  /** Told of the head, or of why there is none; null afterwards. */
  #head: { readonly resolve: (reply: Reply) => void; readonly reject: (error: unknown) => void } | null;
  #controller: Dispatcher.DispatchController | null = null;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #reader: { resolve(next: IteratorResult<Uint8Array>): void; reject(error: unknown): void } | null = null;
  #error: { readonly error: unknown } | null = null;
  #isOver = false;

  constructor(
    sent: unknown,
    signal: AbortSignal | undefined,
    resolve: (reply: Reply) => void,
    reject: (error: unknown) => void,
  ) {
    this.#sent = sent;
    this.#signal = signal;
    this.#head = { resolve, reject };
    if (signal?.aborted) this.fail(signal.reason);
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(asError(this.#error?.error ?? this.#signal?.reason));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // Said before the reply itself, such as early hints.
    if (status < 200) return;
    this.#head?.resolve({ status, headers, body: this });
    this.#head = null;
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Uint8Array): void {
    if (this.#isOver) return;
    if (this.#reader !== null) {
      const { resolve } = this.#reader;
      this.#reader = null;
      resolve({ value: piece, done: false });
      return;
    }
    this.#pieces.push(piece);
    this.#bytes += piece.byteLength;
    if (this.#bytes >= MOST_WAITING_BYTES) controller.pause();
  }

  onResponseEnd(): void {
    this.#end();
    this.#reader?.resolve({ value: undefined, done: true });
    this.#reader = null;
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.fail(error);
  }

  /** What came before goes to its reader first. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#end();
    if (this.#sent instanceof Readable) this.#sent.on('error', () => {}).destroy(asError(error));
    if (this.#head !== null) {
      this.#head.reject(error);
      this.#head = null;
    } else if (this.#reader !== null) {
      this.#reader.reject(error);
      this.#reader = null;
    } else this.#error = { error };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      this.#bytes -= piece.byteLength;
      if (this.#controller!.paused && this.#bytes < MOST_WAITING_BYTES) this.#controller!.resume();
      return Promise.resolve({ value: piece, done: false });
    }
    if (this.#error !== null) {
      const { error } = this.#error;
      this.#error = null;
      return Promise.reject(error);
    }
    if (this.#isOver) return OVER;
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#isOver) this.#hangUp(new Error('the rest of the reply is not wanted'));
    this.#pieces = [];
    this.#error = null;
    return OVER;
  }

  #hangUp(reason: unknown): void {
    this.#pieces = [];
    this.fail(reason);
    this.#controller?.abort(asError(reason));
  }

  #end(): void {
    this.#isOver = true;
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));
