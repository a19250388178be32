/**
 * Traces and metrics for a collector of OpenTelemetry, by OTLP over HTTP. Loaded only where one is named. What goes out:
 * names of ours and of models, counts, times and money; no prompt, no answer, no key and no header.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader, type PushMetricExporter } from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import { upstreamModelOf } from '../../datasets/catalog/candidate.ts';
import type { AttemptRecord } from '../db/records.ts';
import type { KnownNames } from './known-names.ts';
import { ATTRIBUTE, DURATION_S, FIRST_TOKEN_S, METRIC, OWN, operationOf, providerName, TOKENS } from './names.ts';
import type { Ended } from './prometheus.ts';
import type { RemoteParent } from './traceparent.ts';

export interface OtlpOptions {
  /** Collector's base URL, e.g. `http://localhost:4318`; undefined: as the environment says. */
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Share of requests traced where the client's trace does not say, in [0, 1]. */
  readonly traceShare: number;
  readonly names: KnownNames;
  /** Told of every batch: sent, or dropped. */
  readonly exported: (signal: 'traces' | 'metrics', ok: boolean) => void;
  /** How often metrics go out, ms; and spans at the latest. Default: a minute, and five seconds. */
  readonly metricsEveryMs?: number;
  readonly spansEveryMs?: number;
}

/** A request as it begins. */
export interface Begun {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly method: string;
  /** The endpoint, e.g. `/v1/chat/completions`. */
  readonly route: string;
  readonly surface: string;
  readonly isStream: boolean;
  /** `model` as the client sent it; empty where none is named. */
  readonly requestedModel: string;
  readonly parent: RemoteParent | null;
}

export interface EndedSpan extends Ended {
  readonly id: string;
  readonly team: string;
  readonly statusCode: number;
  readonly attempts: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export interface RequestSpan {
  attempt(attempt: AttemptRecord): void;
  end(ended: EndedSpan): void;
}

/** A collector that is slow or away costs so many spans in memory and no more: what comes then is dropped. */
const MOST_SPANS = 2048;
const BATCH_SPANS = 256;
/** A batch that is not taken by then is dropped, ms. */
const EXPORT_MS = 5000;
const METRICS_EVERY_MS = 60_000;
const SPANS_EVERY_MS = 5000;
/** Longest wait for the last batches, ms. */
const STOP_MS = 2000;
/** A client may send any name of any length. */
const NAME_CHARS = 200;
/** Series of one metric: names are known ones, this only guards against a mistake of ours. */
const MOST_SERIES = 2000;

export class Otlp {
  readonly #options: OtlpOptions;
  readonly #tracers: BasicTracerProvider;
  readonly #meters: MeterProvider;
  readonly #tracer;
  readonly #instruments;

  constructor(options: OtlpOptions) {
    this.#options = options;
    const { url, headers, traceShare, exported, metricsEveryMs, spansEveryMs } = options;
    const resource = resourceFromAttributes({
      'service.name': 'pointsman',
      'service.instance.id': randomUUID(),
      'host.name': hostname(),
    }).merge(detectResources({ detectors: [envDetector] }));
    const to = (signal: 'traces' | 'metrics') => ({
      ...(url !== undefined && { url: `${url.replace(/\/+$/, '')}/v1/${signal}` }),
      headers: { ...headers },
      timeoutMillis: EXPORT_MS,
      concurrencyLimit: 2,
    });
    this.#tracers = new BasicTracerProvider({
      resource,
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(traceShare) }),
      spanProcessors: [
        new BatchSpanProcessor(
          counted<SpanExporter>(new OTLPTraceExporter(to('traces')), (ok) => exported('traces', ok)),
          {
            maxQueueSize: MOST_SPANS,
            maxExportBatchSize: BATCH_SPANS,
            scheduledDelayMillis: spansEveryMs ?? SPANS_EVERY_MS,
            exportTimeoutMillis: EXPORT_MS,
          },
        ),
      ],
    });
    this.#meters = new MeterProvider({
      resource,
      readers: [
        new PeriodicExportingMetricReader({
          exporter: counted<PushMetricExporter>(new OTLPMetricExporter(to('metrics')), (ok) => exported('metrics', ok)),
          exportIntervalMillis: metricsEveryMs ?? METRICS_EVERY_MS,
          exportTimeoutMillis: Math.min(EXPORT_MS, metricsEveryMs ?? EXPORT_MS),
          cardinalityLimits: { default: MOST_SERIES },
        }),
      ],
    });
    this.#tracer = this.#tracers.getTracer('pointsman');
    const meter = this.#meters.getMeter('pointsman');
    const histogram = (name: string, description: string, unit: string, explicitBucketBoundaries: number[]) =>
      meter.createHistogram(name, { description, unit, advice: { explicitBucketBoundaries } });
    this.#instruments = {
      clientDuration: histogram(METRIC.clientDuration, 'A call of a provider.', 's', DURATION_S),
      clientFirstChunk: histogram(METRIC.clientFirstChunk, 'To the first chunk of a stream.', 's', DURATION_S),
      clientTokens: histogram(METRIC.clientTokens, 'Tokens of a call, as reported.', '{token}', TOKENS),
      serverDuration: histogram(METRIC.serverDuration, 'A request, from its coming to its end.', 's', DURATION_S),
      serverFirstToken: histogram(METRIC.serverFirstToken, 'To the first byte of an answer.', 's', FIRST_TOKEN_S),
      cost: meter.createCounter(OWN.costMetric, { description: 'Calls at list price.', unit: 'USD' }),
    };
  }

  begin(begun: Begun): RequestSpan {
    const { at, method, route, surface, isStream, requestedModel, parent } = begun;
    const context = parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true });
    const operation = operationOf(surface);
    const span = this.#tracer.startSpan(
      `${method} ${route}`,
      {
        kind: SpanKind.SERVER,
        startTime: at,
        attributes: {
          [ATTRIBUTE.method]: method,
          [ATTRIBUTE.route]: route,
          [ATTRIBUTE.operation]: operation,
          [OWN.surface]: surface,
          ...(requestedModel !== '' && { [ATTRIBUTE.requestModel]: requestedModel.slice(0, NAME_CHARS) }),
          ...(isStream && { [ATTRIBUTE.stream]: true }),
        },
      },
      context,
    );
    const inside = trace.setSpan(context, span);
    return {
      attempt: (attempt) => this.#attempt(attempt, operation, isStream, inside),
      end: (ended) => this.#end(span, operation, ended),
    };
  }

  /** A call that is over, under the request that it was made for. */
  #attempt(attempt: AttemptRecord, operation: string, isStream: boolean, inside: Context): void {
    const { startedAt, totalMs, firstByteMs, errorCode, costUsd } = attempt;
    const start = startedAt.getTime();
    const failed = attempt.status === 'error' || attempt.status === 'partial';
    const firstChunkS = isStream && firstByteMs !== null ? firstByteMs / 1000 : null;
    if ((trace.getSpan(inside)!.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0) {
      const model = upstreamModelOf(attempt.model).slice(0, NAME_CHARS);
      const attributes: Attributes = {
        [ATTRIBUTE.operation]: operation,
        [ATTRIBUTE.provider]: providerName(attempt.provider),
        [ATTRIBUTE.requestModel]: model,
        [OWN.purpose]: attempt.purpose,
        [OWN.ordinal]: attempt.ordinal,
        [OWN.deployment]: attempt.deployment.slice(0, NAME_CHARS),
        [OWN.attemptStatus]: attempt.status,
        ...told(ATTRIBUTE.statusCode, attempt.httpStatus),
        ...told(ATTRIBUTE.inputTokens, attempt.inputTokens),
        ...told(ATTRIBUTE.outputTokens, attempt.outputTokens),
        ...told(ATTRIBUTE.cacheReadTokens, attempt.cachedInputTokens),
        ...told(ATTRIBUTE.cacheCreationTokens, attempt.cacheWriteTokens),
        ...told(ATTRIBUTE.reasoningTokens, attempt.reasoningTokens),
        ...told(OWN.costUsd, costUsd),
        ...told(ATTRIBUTE.timeToFirstChunk, firstChunkS),
        ...(failed && { [ATTRIBUTE.errorType]: errorCode ?? 'UPSTREAM_ERROR' }),
      };
      const name = `${operation} ${model}`.trim();
      const span = this.#tracer.startSpan(name, { kind: SpanKind.CLIENT, startTime: start, attributes }, inside);
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(start + totalMs);
    }
    const { names } = this.#options;
    const labels = {
      [ATTRIBUTE.operation]: operation,
      [ATTRIBUTE.provider]: providerName(names.provider(attempt.provider)),
      [ATTRIBUTE.requestModel]: names.model(attempt.model),
    };
    const { clientDuration, clientTokens, clientFirstChunk, cost } = this.#instruments;
    clientDuration.record(totalMs / 1000, {
      ...labels,
      ...(failed && { [ATTRIBUTE.errorType]: errorCode ?? 'UPSTREAM_ERROR' }),
    });
    if (firstChunkS !== null) clientFirstChunk.record(firstChunkS, labels);
    const tokens = (type: string, n: number | null) => {
      if (n !== null) clientTokens.record(n, { ...labels, [ATTRIBUTE.tokenType]: type });
    };
    tokens('input', attempt.inputTokens);
    tokens('output', attempt.outputTokens);
    if (costUsd !== null && costUsd > 0) cost.add(costUsd, labels);
  }

  #end(span: Span, operation: string, ended: EndedSpan): void {
    const { record, code, statusCode, seconds, firstByteSeconds, provider, model } = ended;
    if (span.isRecording()) {
      span.setAttributes({
        [OWN.decision]: ended.id,
        [OWN.team]: ended.team,
        [OWN.attempts]: ended.attempts,
        [ATTRIBUTE.statusCode]: statusCode,
        ...(provider !== null && { [ATTRIBUTE.provider]: providerName(provider) }),
        ...(model !== null && { [ATTRIBUTE.responseModel]: model.slice(0, NAME_CHARS) }),
        ...(ended.attempts > 0 && {
          [ATTRIBUTE.inputTokens]: ended.inputTokens,
          [ATTRIBUTE.outputTokens]: ended.outputTokens,
          [OWN.costUsd]: ended.spentUsd,
        }),
        ...told(ATTRIBUTE.timeToFirstChunk, ended.isStream ? firstByteSeconds : null),
        ...(code !== null && { [ATTRIBUTE.errorType]: code }),
        ...(record !== undefined && {
          [OWN.routed]: record.routed,
          [OWN.reason]: record.reason,
          [OWN.propensity]: record.propensity,
          [OWN.explored]: record.explored,
          [OWN.cached]: record.cached === true,
          ...told(OWN.artifact, record.artifact),
          ...told(OWN.baselineUsd, record.baselineCostUsd),
        }),
      });
      // A fault of the request is no fault of the server.
      if (ended.status === '5xx') span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    }
    const { names } = this.#options;
    const labels = {
      [ATTRIBUTE.operation]: operation,
      [ATTRIBUTE.provider]: providerName(names.provider(provider)),
      [ATTRIBUTE.responseModel]: names.model(model),
    };
    const { serverDuration, serverFirstToken } = this.#instruments;
    serverDuration.record(seconds, { ...labels, ...(code !== null && { [ATTRIBUTE.errorType]: code }) });
    if (firstByteSeconds !== null && code === null) serverFirstToken.record(firstByteSeconds, labels);
  }

  /** Sends what is left, as far as the collector takes it in time. Never rejects. */
  async stop(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_MS);
    });
    await Promise.race([Promise.allSettled([this.#tracers.shutdown(), this.#meters.shutdown()]), late]);
    clearTimeout(timer);
  }
}

const told = (name: string, value: string | number | null): Attributes => (value === null ? {} : { [name]: value });

/** The same exporter, whose batches are counted. */
function counted<T extends { export(batch: never, done: (result: { code: number }) => void): void }>(
  exporter: T,
  told: (ok: boolean) => void,
): T {
  const send = exporter.export.bind(exporter) as T['export'];
  exporter.export = ((batch: never, done: (result: { code: number }) => void) =>
    send(batch, (result) => {
      told(result.code === 0);
      done(result);
    })) as T['export'];
  return exporter;
}
