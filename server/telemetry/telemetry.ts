/** Metrics, traces and the log line of what the gateway does; no text of a request is among them. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, RoutingError } from '../../datasets/errors.ts';
import { STATUS } from '../api/errors.ts';
import { HttpUrl } from '../config/values.ts';
import type { AttemptRecord, DecisionRecord } from '../db/records.ts';
import type { Gateway } from '../gateway.ts';
import type { Otlp, RequestSpan } from './otlp.ts';
import { GatewayMetrics } from './prometheus.ts';
import { Refusals } from './refusals.ts';
import { readTraceparent } from './traceparent.ts';

/** One request, from its coming to its last byte. */
export interface Trace {
  /** A call that was made for it. */
  attempt(attempt: AttemptRecord): void;
  /** The first byte of the answer goes out. */
  firstByte(): void;
  /** @param code our error code; null: it was answered. @param record absent where it was refused before it was decided on */
  end(code: string | null, record?: DecisionRecord): void;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** When it is over; undefined for endpoints that call no model. */
    told: LogLine | undefined;
  }
}

/** What the log says of a request, beside its path and status. */
export interface LogLine {
  readonly surface: string;
  readonly team: string;
  /** Name of the key, never the key. */
  readonly key: string | null;
  readonly model: string | null;
  readonly provider: string | null;
  readonly code: string | null;
  readonly attempts: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costUsd: number;
  readonly cached: boolean;
}

/** A client may name models of any length. */
const NAME_CHARS = 200;

export class Telemetry {
  /** Who was refused, and why, since this process began. */
  readonly refusals = new Refusals();
  readonly #gateway: Gateway;
  #metrics: GatewayMetrics | undefined;
  #otlp: Otlp | null = null;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  /** What `/metrics` shows. */
  get metrics(): GatewayMetrics {
    this.#metrics ??= new GatewayMetrics(this.#gateway);
    return this.#metrics;
  }

  begin(request: FastifyRequest, surface: string, reply: FastifyReply): Trace {
    return new RequestTrace({ metrics: this.metrics, otlp: this.#otlp }, { request, surface, reply });
  }

  /**
   * OpenTelemetry is loaded only where a collector is named: by the configuration or by OTEL_EXPORTER_OTLP_ENDPOINT.
   * @throws `INVALID_CONFIG` for an environment that names no URL
   */
  async start(env: NodeJS.ProcessEnv = process.env): Promise<void> {
    const { otlpUrl, headers, traceShare } = this.#gateway.config.telemetry;
    const named = env.OTEL_EXPORTER_OTLP_ENDPOINT?.trim() || undefined;
    if ((otlpUrl ?? named) === undefined || /^true$/i.test(env.OTEL_SDK_DISABLED?.trim() ?? '')) return;
    if (otlpUrl === undefined && !HttpUrl.safeParse(named).success) {
      throw new RoutingError('INVALID_CONFIG', 'OTEL_EXPORTER_OTLP_ENDPOINT: must be an http:// or https:// URL');
    }
    const { Otlp } = await import('./otlp.ts');
    const { metrics } = this;
    this.#otlp = new Otlp({
      url: otlpUrl ?? named,
      headers,
      traceShare,
      names: metrics.names,
      exported: (signal, ok) => metrics.exported(signal, ok),
    });
  }

  /** Sends what is left within two seconds. */
  async stop(): Promise<void> {
    const otlp = this.#otlp;
    this.#otlp = null;
    await otlp?.stop();
  }
}

interface Parts {
  readonly metrics: GatewayMetrics;
  readonly otlp: Otlp | null;
}

interface Underway {
  readonly request: FastifyRequest;
  readonly surface: string;
  readonly reply: FastifyReply;
}

class RequestTrace implements Trace {
  readonly #parts: Parts;
  readonly #underway: Underway;
  readonly #startedAt = performance.now();
  readonly #isStream: boolean;
  readonly #span: RequestSpan | undefined;
  #firstByteMs: number | null = null;
  #isOver = false;
  /** The last call for the answer itself. */
  #last: AttemptRecord | undefined;
  #attempts = 0;
  #inputTokens = 0;
  #outputTokens = 0;
  #costUsd = 0;

  constructor(parts: Parts, underway: Underway) {
    this.#parts = parts;
    this.#underway = underway;
    const { request, surface } = underway;
    const json = (request.body as { json?: { stream?: unknown; model?: unknown } } | null | undefined)?.json;
    this.#isStream = json?.stream === true;
    this.#span = parts.otlp?.begin({
      at: Date.now(),
      method: request.method,
      route: request.routeOptions.url ?? '',
      surface,
      isStream: this.#isStream,
      requestedModel: typeof json?.model === 'string' ? json.model : '',
      parent: readTraceparent(request.headers.traceparent),
    });
  }

  attempt(attempt: AttemptRecord): void {
    const { metrics } = this.#parts;
    metrics.attempt(attempt);
    this.#span?.attempt(attempt);
    if (this.#isOver) return;
    this.#attempts++;
    this.#inputTokens += attempt.inputTokens ?? 0;
    this.#outputTokens += attempt.outputTokens ?? 0;
    this.#costUsd += attempt.costUsd ?? 0;
    if (attempt.purpose === 'check' || attempt.purpose === 'audit') return;
    if (this.#last?.status === 'error') metrics.failedOver(this.#last.provider);
    this.#last = attempt;
  }

  firstByte(): void {
    this.#firstByteMs ??= performance.now() - this.#startedAt;
  }

  end(told: string | null, record?: DecisionRecord): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { request, reply, surface } = this.#underway;
    const last = this.#last;
    // A provider's own refusal is passed on as an answer.
    const code = told ?? (last?.status === 'error' ? (last.errorCode ?? 'UPSTREAM_ERROR') : null);
    const hasLeft = code === 'UPSTREAM_CLOSED' && request.raw.socket?.destroyed === true;
    const statusCode = statusOf(code, reply.statusCode);
    const { caller } = request;
    const provider = last?.provider ?? null;
    // Written out: spreads in the middle of a literal cost more than all the counting.
    const ended = {
      surface,
      code,
      record,
      provider,
      isStream: this.#isStream,
      status: hasLeft ? 'left' : `${Math.floor(statusCode / 100)}xx`,
      model: record?.executedModel ?? record?.model ?? last?.model ?? null,
      seconds: (performance.now() - this.#startedAt) / 1000,
      firstByteSeconds: this.#firstByteMs === null ? null : this.#firstByteMs / 1000,
      spentUsd: this.#costUsd,
      id: request.id,
      team: caller.tenant,
      statusCode,
      attempts: this.#attempts,
      inputTokens: this.#inputTokens,
      outputTokens: this.#outputTokens,
    };
    this.#parts.metrics.ended(ended);
    this.#span?.end(ended);
    request.told = {
      surface,
      model: ended.model?.slice(0, NAME_CHARS) ?? null,
      provider,
      code,
      team: caller.tenant,
      key: caller.name,
      attempts: this.#attempts,
      inputTokens: this.#inputTokens,
      outputTokens: this.#outputTokens,
      costUsd: this.#costUsd,
      cached: record?.cached === true,
    };
  }
}

/** Of an error in mid-stream, or thrown and not told yet, the status that it has anywhere else. */
function statusOf(code: string | null, sent: number): number {
  if (code === null || sent >= 400) return sent;
  return Object.hasOwn(STATUS, code) ? STATUS[code as ErrorCode] : 500;
}
