/** `GET /metrics` in Prometheus' text format: so far what becomes of the records, and what is under way. */
import type { FastifyInstance } from 'fastify';
import type { Afterwork, AfterworkQueue } from '../afterwards.ts';
import type { Gateway } from '../gateway.ts';

export function metricsRoute(app: FastifyInstance, gateway: Gateway): void {
  app.get('/metrics', async (_, reply) => {
    reply.type('text/plain; version=0.0.4; charset=utf-8');
    const writer = gateway.store.writer;
    const lines = [
      ...metric('pointsman_requests_under_way', 'gauge', 'Requests being answered.', gateway.lives.size),
      ...metric('pointsman_alarms_open', 'gauge', 'Changes noticed and not cleared.', gateway.openAlarms.length),
      ...afterworkMetrics(gateway.afterwork.state),
      ...afterworkCounts(gateway.afterwards),
    ];
    if (writer === undefined) return `${lines.join('\n')}\n`;
    lines.push(
      ...metric('pointsman_records_queued', 'gauge', 'Rows in memory, not in the database yet.', writer.queued),
      ...metric('pointsman_records_unsaved', 'gauge', 'Rows that are not on disk either.', writer.unsaved),
      ...metric('pointsman_spool_bytes', 'gauge', 'Rows on disk, waiting for the database.', writer.spoolBytes),
      ...metric('pointsman_records_dropped_total', 'counter', 'Rows lost: the spool was full.', writer.dropped),
      ...metric('pointsman_records_rejected_total', 'counter', 'Rows that the database refused.', writer.rejected),
      ...metric('pointsman_spool_errors_total', 'counter', 'Writes to the spool that failed.', writer.diskErrors),
    );
    return `${lines.join('\n')}\n`;
  });
}

const afterworkMetrics = ({ waiting, atWork, done, failed, dropped }: AfterworkQueue['state']): string[] => [
  ...metric('pointsman_afterwork_under_way', 'gauge', 'Answers that are out and being looked at.', waiting + atWork),
  ...metric('pointsman_afterwork_done_total', 'counter', 'Looks at answers that are out.', done),
  ...metric('pointsman_afterwork_failed_total', 'counter', 'Looks that failed.', failed),
  ...metric(
    'pointsman_afterwork_dropped_total',
    'counter',
    'Looks left out: too many waited, or the gateway stopped.',
    dropped,
  ),
];

/** `work` and `result` are words of ours, never of a request. */
function afterworkCounts(works: readonly Afterwork[]): string[] {
  const name = 'pointsman_afterwork_results_total';
  const lines = works.flatMap(({ name: work, counts = {} }) =>
    Object.entries(counts).map(([result, n]) => `${name}{work="${work}",result="${result}"} ${n}`),
  );
  if (lines.length === 0) return [];
  return [`# HELP ${name} What came of looking at answers that are out.`, `# TYPE ${name} counter`, ...lines];
}

const metric = (name: string, type: 'gauge' | 'counter', help: string, value: number): string[] => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} ${type}`,
  `${name} ${value}`,
];
