/** The model that judges: whether it can be called at all, and for whom. */
import { routeOptionsOf } from '../api/knobs.ts';
import { ANYBODY, type Caller } from '../callers.ts';
import type { GatewayConfig } from '../config/index.ts';
import type { Models, Named } from '../models.ts';

interface Setup {
  readonly config: Pick<GatewayConfig, 'audit'>;
  readonly models: Models;
}

/**
 * The judge, as far as this client may use it; null: there is none, no provider of it has a key for this tenant, or the
 * client's own key names models and the judge is not among them.
 */
export function judgeFor({ config, models }: Setup, caller: Caller): Named | null {
  const { judge } = config.audit;
  if (judge === undefined) return null;
  try {
    const named = models.resolve(judge, { ...caller, models: undefined });
    const { allowed } = routeOptionsOf({}, caller, [named.id]);
    if (allowed !== undefined && !allowed.includes(named.id)) return null;
    // Scores of two models do not compare: the judge has no stand-in, whatever its alias has.
    return { ...named, targets: named.targets.filter(({ id }) => id === named.id) };
  } catch {
    return null;
  }
}

/** Why the judge of a configuration cannot judge; null: it can, or none is asked for. */
export function judgeTrouble({ audit, keys }: Pick<GatewayConfig, 'audit' | 'keys'>, models: Models): string | null {
  const { share, judge } = audit;
  // Without any provider the sandbox answers, and nothing is audited.
  if (share === 0 || judge === undefined || models.sandbox !== undefined) return null;
  let trouble: string | undefined;
  // A key of one tenant alone is a key.
  for (const tenant of [ANYBODY.tenant, ...keys.map((key) => key.tenant)]) {
    try {
      const { id, candidate } = models.resolve(judge, { ...ANYBODY, tenant });
      if (candidate !== undefined) return null;
      return `audit.judge ${id}: the catalog has no price for it, so its budget cannot be kept; add it to a catalog file`;
    } catch (error) {
      trouble ??= `audit.judge: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return trouble ?? null;
}
