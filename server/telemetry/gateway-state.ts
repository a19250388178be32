/** Metrics that are read off the gateway when somebody asks: what is under way, what waits, what rests, what was counted elsewhere. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Gateway } from '../gateway.ts';

export function stateMetrics(gateway: Gateway, registry: Registry): void {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `pointsman_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  /** A number that only grows and is counted elsewhere. */
  const total = (name: string, help: string, read: () => number) =>
    new Counter({
      name: `pointsman_${name}`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  const { afterwork, store } = gateway;
  gauge('requests_under_way', 'Requests being answered.', () => gateway.lives.size);
  gauge('alarms_open', 'Changes noticed and not cleared.', () => gateway.openAlarms.length);
  gauge('draining', '1 while the gateway is shutting down.', () => (gateway.draining ? 1 : 0));
  gauge(
    'afterwork_under_way',
    'Answers that are out and being looked at.',
    () => afterwork.state.waiting + afterwork.state.atWork,
  );
  total('afterwork_done_total', 'Looks at answers that are out.', () => afterwork.state.done);
  total('afterwork_failed_total', 'Looks that failed.', () => afterwork.state.failed);
  total(
    'afterwork_dropped_total',
    'Looks left out: too many waited, or the gateway stopped.',
    () => afterwork.state.dropped,
  );
  // `work` and `result` are words of ours, never of a request.
  new Counter({
    name: 'pointsman_afterwork_results_total',
    help: 'What came of looking at answers that are out.',
    labelNames: ['work', 'result'],
    registers,
    collect() {
      this.reset();
      for (const { name: work, counts = {} } of gateway.afterwards) {
        for (const [result, n] of Object.entries(counts)) this.inc({ work, result }, n);
      }
    },
  });
  if (store.writer !== undefined) {
    const writer = () => store.writer!;
    gauge('records_queued', 'Rows in memory, not in the database yet.', () => writer().queued);
    gauge('records_unsaved', 'Rows that are not on disk either.', () => writer().unsaved);
    gauge('spool_bytes', 'Rows on disk, waiting for the database.', () => writer().spoolBytes);
    total('records_dropped_total', 'Rows lost: the spool was full.', () => writer().dropped);
    total('records_rejected_total', 'Rows that the database refused.', () => writer().rejected);
    total('spool_errors_total', 'Writes to the spool that failed.', () => writer().diskErrors);
  }
  new Gauge({
    name: 'pointsman_breakers_open',
    help: 'Deployments, keys and providers that are left alone for a while, for failing.',
    labelNames: ['provider'],
    registers,
    collect() {
      this.reset();
      const { names } = gateway.governance.telemetry.metrics;
      for (const name of gateway.setup.providers.keys()) this.set({ provider: names.provider(name) }, 0);
      for (const key of gateway.breaker.resting) this.inc({ provider: names.provider(providerOfKey(key)) });
    },
  });
  new Counter({
    name: 'pointsman_guardrail_hits_total',
    help: 'What guardrails found, and what was done.',
    labelNames: ['guard', 'found', 'where', 'action'],
    registers,
    collect() {
      this.reset();
      // Bounded where it is counted.
      for (const { count, ...labels } of gateway.governance.guards.counts) this.inc(labels, count);
    },
  });
  cacheMetrics(gateway, { gauge, total, registry });
}

type Reading = (name: string, help: string, read: () => number) => unknown;

function cacheMetrics(
  gateway: Gateway,
  { gauge, total, registry }: { gauge: Reading; total: Reading; registry: Registry },
): void {
  const cache = () => gateway.governance.cache.state;
  new Counter({
    name: 'pointsman_cache_requests_total',
    help: 'Requests under a policy that caches, by what came of it.',
    labelNames: ['result'],
    registers: [registry],
    collect() {
      this.reset();
      const { hits, misses, bypassed } = cache();
      this.inc({ result: 'hit' }, hits);
      this.inc({ result: 'miss' }, misses);
      this.inc({ result: 'bypass' }, bypassed);
    },
  });
  total('cache_saved_usd_total', 'What the answers that were given again had cost, USD.', () => cache().savedUsd);
  total(
    'cache_shared_failures_total',
    'Reads and writes of the database that failed or were late.',
    () => cache().failures,
  );
  total('cache_dropped_total', 'Answers not written to the database: too many waited.', () => cache().dropped);
  gauge('cache_entries', 'Answers kept in memory.', () => cache().entries);
  gauge('cache_bytes', 'Their size, bytes.', () => cache().bytes);
}

/** `provider`, `provider#key` or `provider/model as named there#key`. */
const providerOfKey = (key: string): string => key.split(/[/#]/, 1)[0]!;
