/** Asks a running gateway for its log: `POST /admin/log`, by the token in its lock file. */
import { z } from 'zod';
import { ERROR_CODES, RoutingError } from '../../datasets/errors.ts';
import { PLAIN, plainPath } from '../../datasets/plain-issues.ts';
import type { LockFile } from '../db/lock.ts';
import type { RankedSample } from './log.ts';
import { type InForce, LogLine, LogMeta, type LogSource } from './log-stream.ts';
import { SPOOL_PATIENCE_MS } from './whole-log.ts';

export interface AskedLogOptions {
  /** How long the gateway may say nothing. */
  readonly silenceMs?: number;
}

/** Rows take some kilobytes; what is far beyond is none. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;
const MAX_REPLY_BYTES = 2 * 1024 * 1024 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;
/** Longer than the gateway may wait for rows that it has on disk alone. */
const SILENCE_MS = SPOOL_PATIENCE_MS + 60_000;
const NEWLINE = 0x0a;

/**
 * The log of the gateway that holds `dataDir`.
 * @throws `DATABASE_LOCKED` where it does not answer, `UNAUTHORIZED`, `NOT_FOUND` (a gateway from before this
 *         endpoint), `UPSTREAM_INVALID` (an answer that is none), `UPSTREAM_CLOSED` (it stopped midway),
 *         `UPSTREAM_TIMEOUT`, and what the gateway itself throws
 */
export function askedLog(lock: LockFile, dataDir: string, { silenceMs = SILENCE_MS }: AskedLogOptions = {}): LogSource {
  let before: InForce | undefined;
  return {
    async inForce() {
      const { meta } = await ask(lock, dataDir, {}, silenceMs);
      before = meta;
      return meta;
    },
    async read(encoderId) {
      const { meta, samples } = await ask(lock, dataDir, { encoderId }, silenceMs);
      if (before !== undefined && meta.promoted !== before.promoted) {
        throw new RoutingError('INVALID_REQUEST', 'another router came into force meanwhile; run this again');
      }
      const { leftOut, limited } = meta.log!;
      return { samples, leftOut, limited };
    },
  };
}

interface Answer {
  readonly meta: LogMeta;
  readonly samples: readonly RankedSample[];
}

const ask = (lock: LockFile, dataDir: string, body: { readonly encoderId?: string }, silenceMs: number) =>
  asked(lock, dataDir, body, (lines, who) => answerOf(lines, body.encoderId !== undefined, who), { silenceMs });

/** A reply's lines, numbered from 1. */
export type Lines = AsyncIterable<{ readonly text: string; readonly line: number }>;

/**
 * Asks for anything that `/admin/log` gives.
 * @param take reads the lines, to the end
 * @throws as {@link askedLog}
 */
export async function asked<T>(
  { pid, url, token }: LockFile,
  dataDir: string,
  body: object,
  take: (lines: Lines, who: string) => Promise<T>,
  { silenceMs = SILENCE_MS }: AskedLogOptions = {},
): Promise<T> {
  if (url === null) {
    throw new RoutingError(
      'DATABASE_LOCKED',
      `process ${pid} has ${dataDir} open and answers no requests; try again when it is done`,
    );
  }
  const who = `the gateway at ${url} (process ${pid})`;
  const stop = new AbortController();
  const quiet = setTimeout(() => {
    stop.abort(
      new RoutingError(
        'UPSTREAM_TIMEOUT',
        `${who} said nothing for ${silenceMs / 1000} s; see what keeps it, or stop it and run this again`,
      ),
    );
  }, silenceMs);
  try {
    const reply = await fetch(`${url}/admin/log`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      redirect: 'manual',
      signal: stop.signal,
    }).catch((cause) => {
      throw new RoutingError(
        'DATABASE_LOCKED',
        `${who} holds ${dataDir} but does not answer; see whether it still runs, stop it if it hangs, and run this again`,
        { cause },
      );
    });
    if (!reply.ok) throw await refusal(reply, who, dataDir);
    return await take(
      linesOf(reply, who, () => quiet.refresh()),
      who,
    );
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    clearTimeout(quiet);
    stop.abort();
  }
}

const ErrorBody = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** The error in an answer; null where there is none. */
function errorOf(value: unknown, who: string): RoutingError | null {
  const parsed = ErrorBody.safeParse(value);
  if (!parsed.success) return null;
  const { code, message } = parsed.data.error;
  return new RoutingError(ERROR_CODES.find((known) => known === code) ?? 'UPSTREAM_ERROR', `${who}: ${message}`);
}

async function refusal(reply: Response, who: string, dataDir: string): Promise<RoutingError> {
  if (reply.status === 404) {
    return new RoutingError(
      'NOT_FOUND',
      `${who} does not give its log: it is of an earlier version. Restart it with this version, ` +
        'or stop it for as long as this takes',
    );
  }
  if (reply.status === 401) {
    return new RoutingError(
      'UNAUTHORIZED',
      `${who} refuses the token in ${dataDir}/lock.json: it was restarted just now, or another gateway answers there. ` +
        'Run this again; if that does not help, restart the gateway',
    );
  }
  let text = '';
  try {
    for await (const bytes of reply.body ?? []) {
      text += Buffer.from(bytes).toString('latin1');
      if (text.length > MAX_ERROR_BYTES) break;
    }
    const error = errorOf(JSON.parse(Buffer.from(text, 'latin1').toString()), who);
    if (error !== null) return error;
  } catch {
    // What it said is of no use; its status is told below.
  }
  return invalid(who, `status ${reply.status} and no reason`);
}

const invalid = (who: string, what: string, cause?: unknown): RoutingError =>
  new RoutingError(
    'UPSTREAM_INVALID',
    `${who} answered what is no log: ${what}. Is it of another version, or another program at that port? ` +
      'Restart the gateway with this version, or stop it, and run this again',
    { cause },
  );

const closed = (who: string, cause?: unknown): RoutingError =>
  new RoutingError(
    'UPSTREAM_CLOSED',
    `${who} stopped in the middle of its log; run this again: once it is stopped, the log is read from its folder`,
    { cause },
  );

/** A reply's lines without their ends, numbered from 1. Text after the last end is a line that was cut. */
async function* linesOf(
  reply: Response,
  who: string,
  heard: () => void,
): AsyncGenerator<{ text: string; line: number }> {
  let line = 1;
  let total = 0;
  let pieces: Buffer[] = [];
  let held = 0;
  const take = (piece: Buffer) => {
    pieces.push(piece);
    held += piece.length;
    total += piece.length;
    if (held > MAX_LINE_BYTES) throw invalid(who, `line ${line} is over ${MAX_LINE_BYTES / 1024 / 1024} MB`);
    if (total > MAX_REPLY_BYTES) throw invalid(who, `it is over ${MAX_REPLY_BYTES / 1024 ** 3} GB`);
  };
  for await (const bytes of bytesOf(reply, who)) {
    heard();
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      take(chunk.subarray(from, at));
      yield { text: Buffer.concat(pieces).toString(), line: line++ };
      pieces = [];
      held = 0;
      from = at + 1;
    }
    if (from < chunk.length) take(chunk.subarray(from));
  }
  if (held > 0) throw closed(who);
}

async function* bytesOf({ body }: Response, who: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const bytes of body ?? []) yield bytes as Uint8Array;
  } catch (cause) {
    throw closed(who, cause);
  }
}

async function answerOf(lines: Lines, withRows: boolean, who: string): Promise<Answer> {
  let meta: LogMeta | undefined;
  const samples: RankedSample[] = [];
  for await (const { text, line } of lines) {
    const value = lineValue(text, line, who);
    if (meta === undefined) {
      meta = parsed(LogMeta, value, line, who);
      if ((meta.log !== null) !== withRows) throw invalid(who, `line ${line}: field log: not what was asked for`);
      continue;
    }
    if (samples.length >= (meta.log?.samples ?? 0)) throw invalid(who, `line ${line}: more rows than it announced`);
    const sample = parsed(LogLine, value, line, who);
    if (sample.embedding.length !== (samples[0] ?? sample).embedding.length) {
      throw invalid(
        who,
        `line ${line}: field embedding: ${sample.embedding.length} numbers, other rows have more or fewer`,
      );
    }
    samples.push(sample);
  }
  if (meta === undefined || samples.length < (meta.log?.samples ?? 0)) throw closed(who);
  return { meta, samples };
}

/** What a line says. @throws what the gateway says went wrong there */
export function lineValue(text: string, line: number, who: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(who, `line ${line} is not JSON`, cause);
  }
  const error = errorOf(value, who);
  if (error !== null) throw error;
  return value;
}

/** @throws `UPSTREAM_INVALID` naming line and field */
export function parsed<S extends z.ZodType>(schema: S, value: unknown, line: number, who: string): z.infer<S> {
  const { success, data, error } = schema.safeParse(value, PLAIN);
  if (success) return data;
  const issue = error.issues[0]!;
  throw invalid(who, `line ${line}: field ${plainPath(issue.path) || '(row)'}: ${issue.message}`, error);
}
