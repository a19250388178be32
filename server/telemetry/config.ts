/** Options of observability: OpenTelemetry beside `/metrics` and the log; part of `config/schema.ts`. */
import { z } from 'zod';
import { HttpUrl } from '../config/values.ts';

export const TelemetryConfig = z.strictObject({
  otlpUrl: HttpUrl.optional().describe(
    'Collector of OpenTelemetry (OTLP over HTTP), e.g. http://localhost:4318. Default: OTEL_EXPORTER_OTLP_ENDPOINT; neither: none.',
  ),
  headers: z.record(z.string(), z.string()).default({}).describe('More headers for the collector.'),
  traceShare: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe('Share of requests that are traced where the client’s own trace does not say, in [0, 1].'),
  metricsKey: z
    .string()
    .min(16, 'must be at least 16 characters')
    .optional()
    .describe(
      'With it /metrics asks for authorization: Bearer KEY, and for no client key. Without it, where keys are asked for, it needs one with the scope admin: it tells of all teams.',
    ),
});
export type TelemetryConfig = z.infer<typeof TelemetryConfig>;
