/** The load client: so many connections, each asking again as soon as it was answered, for so long. */
import { connect, type Socket } from 'node:net';
import { ReplyReader } from './reply-reader.ts';
import { type RequestKind, requestMaker } from './requests.ts';

export interface LoadJob extends RequestKind {
  /** Full URL of the endpoint, http on loopback. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadResult {
  /** Answered properly. */
  readonly answered: number;
  /** Answered otherwise, or not at all. */
  readonly failed: number;
  /** What the first failure looked like; null without one. */
  readonly firstFailure: string | null;
  readonly perSecond: number;
  /** From sending a request to the last byte of its answer, milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** From sending a request to the first byte of its body, milliseconds. */
  readonly firstByteP50: number;
  readonly firstByteP99: number;
}

/** What a connection waits for an answer before it is given up. */
const PATIENCE_MS = 30_000;
/** Failures after which going on would measure nothing. */
const MOST_FAILURES = 1000;

export async function runLoad(job: LoadJob): Promise<LoadResult> {
  const url = new URL(job.url);
  const next = requestMaker(job, url, job.headers);
  const marker = Buffer.from(job.stream ? '[DONE]' : '"choices"');
  const times: number[] = [];
  const firstBytes: number[] = [];
  let failed = 0;
  let firstFailure: string | null = null;
  const started = performance.now();
  const until = started + job.seconds * 1000;
  let ended = started;
  const fail = (why: string) => {
    failed++;
    firstFailure ??= why;
  };

  /** One connection's life; opened again when the server closes it. */
  const run = (): Promise<void> =>
    new Promise((resolve) => {
      let sentAt = 0;
      let firstAt = 0;
      let busy = false;
      let reader = new ReplyReader();
      let socket: Socket;
      const isOver = () => performance.now() >= until || failed >= MOST_FAILURES;
      const send = () => {
        if (isOver()) {
          socket.destroy();
          return;
        }
        firstAt = 0;
        busy = true;
        sentAt = performance.now();
        socket.write(next());
      };
      const onData = (piece: Buffer) => {
        let complete: boolean;
        try {
          complete = reader.push(piece);
        } catch (error) {
          fail((error as Error).message);
          busy = false;
          socket.destroy();
          return;
        }
        const now = performance.now();
        if (firstAt === 0 && reader.bodyBytes > 0) firstAt = now;
        if (!complete) return;
        busy = false;
        ended = now;
        if (reader.status === 200 && reader.tail.includes(marker)) {
          times.push(now - sentAt);
          firstBytes.push(firstAt - sentAt);
        } else fail(`status ${reader.status}: ${reader.tail.toString('utf8').slice(0, 200)}`);
        if (reader.closes) socket.destroy();
        else send();
      };
      const open = () => {
        reader = new ReplyReader();
        socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true }, send);
        socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`no answer for ${PATIENCE_MS} ms`)));
        let problem = 'the connection was closed in place of an answer';
        socket.on('data', onData);
        socket.on('error', (error) => {
          problem = error.message;
          busy = true;
        });
        socket.on('close', () => {
          if (busy) fail(problem);
          busy = false;
          if (isOver()) resolve();
          else open();
        });
      };
      open();
    });
  await Promise.all(Array.from({ length: job.connections }, run));
  const times64 = Float64Array.from(times).sort();
  const firsts = Float64Array.from(firstBytes).sort();
  return {
    answered: times.length,
    failed,
    firstFailure,
    perSecond: times.length / ((ended - started) / 1000),
    p50: quantile(times64, 0.5),
    p99: quantile(times64, 0.99),
    firstByteP50: quantile(firsts, 0.5),
    firstByteP99: quantile(firsts, 0.99),
  };
}

/** @param sorted rising; NaN where empty */
const quantile = (sorted: Float64Array, share: number): number =>
  sorted.length === 0 ? Number.NaN : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
