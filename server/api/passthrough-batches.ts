/** Batches and the budgets of whoever makes them: what a file asks for, what is set aside for a batch of it, and its end. */
import type { FastifyRequest } from 'fastify';
import { upstreamModelOf } from '../../datasets/catalog/candidate.ts';
import type { Target } from '../forward/target.ts';
import type { Gateway } from '../gateway.ts';
import { BatchCounter } from '../governance/limits/batches/asked.ts';
import type { BatchMaking } from '../governance/limits/batches/making.ts';
import type { Provider } from '../providers/index.ts';

/** Counts what the requests of a file ask for; undefined where no limit holds. */
export function batchCounter({ governance }: Gateway, { entrant }: FastifyRequest, { provider }: Target) {
  const { limits } = governance;
  if (limits.batches === null || !limits.holdsFor(entrant)) return undefined;
  return new BatchCounter((model) => provider.dialectOf(model).outputLimit === 'max_completion_tokens');
}

/** Once its host has taken it. */
export async function keepAsked(
  { governance }: Gateway,
  { caller }: FastifyRequest,
  file: unknown,
  counter: BatchCounter | undefined,
): Promise<void> {
  if (typeof file === 'string' && counter !== undefined) {
    await governance.limits.batches?.keep(caller.tenant, file, counter.asked);
  }
}

/** Members of what asks for a batch, of which the cost hangs on none but those that are read. */
const KNOWN: ReadonlySet<string> = new Set([
  ...['input_file_id', 'endpoint', 'completion_window', 'metadata', 'output_expires_after'],
]);

interface Asked {
  readonly input_file_id: string;
  readonly endpoint?: unknown;
  readonly completion_window?: unknown;
}

/**
 * Sets aside what a batch may cost.
 * @returns null: no limit has anything to do with it
 * @throws `BUDGET_EXCEEDED`, `RATE_LIMITED`; `FORBIDDEN` where nobody can tell; `INVALID_REQUEST` for another endpoint than its file's
 */
export async function reserveBatch(
  gateway: Gateway,
  { entrant }: FastifyRequest,
  asked: Asked,
  { provider, deployment }: Target,
): Promise<BatchMaking | null> {
  const { limits } = gateway.governance;
  if (limits.batches === null) {
    limits.mustBeMetered(entrant, 'batches');
    return null;
  }
  if (!limits.holdsFor(entrant)) return null;
  const { input_file_id: file, endpoint, completion_window: window } = asked;
  const unknown = Object.keys(asked).filter((name) => !KNOWN.has(name));
  const priceOf = (model: string) => pricedAt(gateway, provider, model);
  const made = { file, endpoint, window, unknown, provider: provider.name, deployment, priceOf };
  return limits.batches.reserve(entrant, made);
}

/** A model as its host calls it: by what id and at what price it is known here. */
function pricedAt({ setup, config }: Gateway, { name }: Provider, model: string) {
  const known = (id: string) => setup.models.catalog.models.find((one) => one.id === id);
  const listed = Object.entries(config.models).find(([id, deployments]) =>
    deployments.some((one) => one.provider === name && (one.model ?? upstreamModelOf(id)) === model),
  );
  const price = known(listed?.[0] ?? `${name}/${model}`);
  return price === undefined ? null : { id: price.id, price };
}
