/** What `/metrics` tells, in Prometheus' terms: a registry for each gateway, and label sets that no request can widen. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { ERROR_CODES } from '../../datasets/errors.ts';
import type { AttemptRecord, DecisionRecord } from '../db/records.ts';
import type { Gateway } from '../gateway.ts';
import { stateMetrics } from './gateway-state.ts';
import { KnownNames, NONE, OTHER, wordOf } from './known-names.ts';

/** Answers take from a cached tenth of a second to the minutes of a reasoning model, s. */
const ANSWER_S = [0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600];
/** First words come sooner, s. */
const FIRST_BYTE_S = [0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30, 60];
/** A decision takes milliseconds; a cold or busy encoder more, s. */
const ROUTER_S = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 1];

const SURFACES: ReadonlySet<string> = new Set(
  'chat responses messages embeddings audio images moderations files batches'.split(' '),
);
const CODES: ReadonlySet<string> = new Set(ERROR_CODES);
const REASONS: ReadonlySet<string> = new Set(
  'cheapest_adequate best_effort abstained explored only_candidate sticky pinned'.split(' '),
);
/** Refused before anybody was called, for who asked or how much. */
const REFUSALS: Readonly<Record<string, string>> = {
  UNAUTHORIZED: 'key',
  FORBIDDEN: 'scope',
  FORBIDDEN_MODEL: 'model',
  FORBIDDEN_ORIGIN: 'origin',
  RATE_LIMITED: 'rate',
  BUDGET_EXCEEDED: 'budget',
  LIMIT_REACHED: 'count',
  POLICY_REFUSED: 'policy',
  GUARDRAIL_BLOCKED: 'guardrail',
};

/** One request, when it is over. */
export interface Ended {
  readonly surface: string;
  readonly isStream: boolean;
  /** The model and provider that answered, or were asked last; null: nobody was asked. */
  readonly model: string | null;
  readonly provider: string | null;
  /** `2xx` … `5xx`, or `left`: the client hung up first. */
  readonly status: string;
  /** Our error code; null: it was answered. */
  readonly code: string | null;
  readonly seconds: number;
  /** Null: not a byte was sent. */
  readonly firstByteSeconds: number | null;
  /** All calls made for it, USD. */
  readonly spentUsd: number;
  readonly record: DecisionRecord | undefined;
}

export class GatewayMetrics {
  readonly registry = new Registry();
  readonly names: KnownNames;
  readonly #requests: Counter<'surface' | 'model' | 'provider' | 'status'>;
  readonly #errors: Counter<'surface' | 'code'>;
  readonly #refusals: Counter<'kind'>;
  readonly #seconds: Histogram<'surface' | 'stream'>;
  readonly #firstByte: Histogram<'surface' | 'stream'>;
  readonly #router: Histogram;
  readonly #decisions: Counter<'model' | 'reason'>;
  readonly #baseline: Counter;
  readonly #routedCost: Counter;
  readonly #savings: Gauge;
  readonly #attempts: Counter<'provider' | 'status' | 'purpose'>;
  readonly #attemptSeconds: Histogram<'provider'>;
  readonly #attemptFirstByte: Histogram<'provider'>;
  readonly #failovers: Counter<'provider'>;
  readonly #tokens: Counter<'model' | 'provider' | 'kind'>;
  readonly #cost: Counter<'model' | 'provider' | 'purpose'>;
  readonly #exports: Counter<'signal' | 'result'>;

  constructor(gateway: Gateway) {
    this.names = new KnownNames(() => gateway.setup);
    const registers = [this.registry];
    const counter = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) =>
      new Counter<L>({ name: `pointsman_${name}`, help, labelNames: [...labelNames], registers });
    const histogram = <L extends string = never>(
      name: string,
      help: string,
      buckets: number[],
      labelNames: readonly L[] = [],
    ) => new Histogram<L>({ name: `pointsman_${name}`, help, buckets, labelNames: [...labelNames], registers });
    this.#requests = counter(
      'requests_total',
      'Requests that are over, by who answered and the class of the status; left: the client hung up.',
      ['surface', 'model', 'provider', 'status'],
    );
    this.#errors = counter('request_errors_total', 'Requests that ended in an error, by its code.', [
      'surface',
      'code',
    ]);
    this.#refusals = counter('refusals_total', 'Refused for who asked, what for or how much, by what refused it.', [
      'kind',
    ]);
    this.#seconds = histogram('request_seconds', 'From the request read to its answer sent, s.', ANSWER_S, [
      'surface',
      'stream',
    ]);
    this.#firstByte = histogram('first_byte_seconds', 'To the first byte of the answer, s.', FIRST_BYTE_S, [
      'surface',
      'stream',
    ]);
    this.#router = histogram('router_seconds', 'What deciding took, s.', ROUTER_S);
    this.#decisions = counter('decisions_total', 'Routed requests, by the model decided for and why.', [
      'model',
      'reason',
    ]);
    this.#baseline = counter(
      'routed_baseline_usd_total',
      'What the baseline would have cost for routed requests, USD.',
    );
    this.#routedCost = counter('routed_cost_usd_total', 'What those routed requests cost, failed calls included, USD.');
    this.#savings = new Gauge({
      name: 'pointsman_savings_usd',
      help: 'The baseline’s cost of routed requests less their own, since the start, USD. It may fall, and be negative.',
      registers,
    });
    this.#attempts = counter('attempts_total', 'Calls made, by how they ended and what for.', [
      'provider',
      'status',
      'purpose',
    ]);
    this.#attemptSeconds = histogram('attempt_seconds', 'How long calls that were answered took, s.', ANSWER_S, [
      'provider',
    ]);
    this.#attemptFirstByte = histogram('attempt_first_byte_seconds', 'To their first byte, s.', FIRST_BYTE_S, [
      'provider',
    ]);
    this.#failovers = counter('failovers_total', 'Calls that failed and were followed by another, by who failed.', [
      'provider',
    ]);
    this.#tokens = counter(
      'tokens_total',
      'Tokens as reported: input (cached_input and cache_write are part of it) and output (reasoning is part of it).',
      ['model', 'provider', 'kind'],
    );
    this.#cost = counter('cost_usd_total', 'All calls at list price, USD.', ['model', 'provider', 'purpose']);
    this.#exports = counter('otlp_exports_total', 'Batches for the collector of OpenTelemetry.', ['signal', 'result']);
    stateMetrics(gateway, this.registry);
  }

  /** A call is over; audits come here long after their request. */
  attempt(attempt: AttemptRecord): void {
    const { status, purpose, costUsd } = attempt;
    const provider = this.names.provider(attempt.provider);
    const model = this.names.model(attempt.model);
    this.#attempts.inc({ provider, status, purpose });
    if (status === 'ok') this.#attemptSeconds.observe({ provider }, attempt.totalMs / 1000);
    if (attempt.firstByteMs !== null) this.#attemptFirstByte.observe({ provider }, attempt.firstByteMs / 1000);
    const tokens = (kind: string, n: number | null) => {
      if (n !== null && n > 0) this.#tokens.inc({ model, provider, kind }, n);
    };
    tokens('input', attempt.inputTokens);
    tokens('cached_input', attempt.cachedInputTokens);
    tokens('cache_write', attempt.cacheWriteTokens);
    tokens('output', attempt.outputTokens);
    tokens('reasoning', attempt.reasoningTokens);
    if (costUsd !== null && costUsd > 0) this.#cost.inc({ model, provider, purpose }, costUsd);
  }

  /** A call failed, and another one was made in its place. */
  failedOver(provider: string): void {
    this.#failovers.inc({ provider: this.names.provider(provider) });
  }

  ended(over: Ended): void {
    const { isStream, status, code, seconds, firstByteSeconds, spentUsd, record } = over;
    const surface = wordOf(SURFACES, over.surface);
    const stream = String(isStream);
    const provider = record?.cached === true ? 'cache' : this.names.provider(over.provider);
    this.#requests.inc({ surface, model: this.names.model(over.model), provider, status });
    if (code !== null) this.#errors.inc({ surface, code: wordOf(CODES, code) });
    this.#seconds.observe({ surface, stream }, seconds);
    if (firstByteSeconds !== null) this.#firstByte.observe({ surface, stream }, firstByteSeconds);
    if (record?.routed !== true) return;
    if (record.routerMs !== null) this.#router.observe(record.routerMs / 1000);
    this.#decisions.inc({ model: this.names.model(record.model), reason: wordOf(REASONS, record.reason) });
    // One that nobody answered cost what its calls did, and spared nothing.
    if (record.baselineCostUsd === null && record.executedModel !== null) return;
    const baselineUsd = record.executedModel === null ? 0 : record.baselineCostUsd!;
    this.#baseline.inc(baselineUsd);
    this.#routedCost.inc(spentUsd);
    this.#savings.inc(baselineUsd - spentUsd);
  }

  /** An error that a client is told. */
  refused(code: string): void {
    const kind = Object.hasOwn(REFUSALS, code) ? REFUSALS[code]! : undefined;
    if (kind !== undefined) this.#refusals.inc({ kind });
  }

  exported(signal: 'traces' | 'metrics', ok: boolean): void {
    this.#exports.inc({ signal, result: ok ? 'sent' : 'failed' });
  }

  /** In Prometheus' text format. */
  async text(): Promise<string> {
    return `${await this.registry.metrics()}${await processRegistry().metrics()}`;
  }
}

/** Memory, processor time and the event loop are the process's, however many gateways are in it. */
let ofProcess: Registry | undefined;

function processRegistry(): Registry {
  if (ofProcess === undefined) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
  }
  return ofProcess;
}

export const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;
export { NONE, OTHER };
