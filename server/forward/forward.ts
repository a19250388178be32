/**
 * Calls the deployments of a ranked list until one answers. Only up to its first word: from then on the client has
 * been told who answers. A model the client named itself is never replaced by another, only by another deployment of it.
 */
import type { AttemptRecord } from '../db/records.ts';
import type { Breaker } from './breaker.ts';
import { Calls, type ForwardLimits, type ForwardRequest, type OpenCall } from './calls.ts';
import { TOO_LONG, type UpstreamFailure } from './failure.ts';
import { mayTryAgain, pause, pauseMs } from './pause.ts';
import type { Target } from './target.ts';

export type { AttemptEnd, ForwardLimits, ForwardRequest, OpenCall } from './calls.ts';

/** A provider that failed so often in one request goes to the end of its list. */
const FAILURES_BEFORE_LAST = 2;

/**
 * @param record  takes the record of each failed attempt
 * @throws UpstreamFailure, the last one, when nobody answered; `POLICY_REFUSED` for a target that the rules do not allow
 */
export async function forward(
  targets: readonly Target[],
  request: ForwardRequest,
  limits: ForwardLimits,
  record: (attempt: AttemptRecord) => void,
  breaker: Breaker,
): Promise<OpenCall> {
  const calls = new Calls(request, limits, record, breaker);
  const queue = [...targets];
  /** Busy or broken: tried again, each when its pause is over, when nothing else is left. */
  let later: { readonly target: Target; readonly dueAt: number }[] = [];
  const retries = new Map<Target, number>();
  const providerFailures = new Map<string, number>();
  let reconnected: Target | undefined;
  for (;;) {
    const target = queue.shift()!;
    const outcome = await calls.run(target, queue);
    if (outcome.call !== undefined) return outcome.call;
    for (const { target: failed, error } of outcome.failures) {
      const { blame } = error;
      if (blame === 'cancelled' || blame === 'request' || request.life.aborted) throw error;
      // A kept-alive connection that its host had closed looks just like this: the same again, once.
      if (blame === 'connection' && reconnected !== failed) {
        reconnected = failed;
        queue.unshift(failed);
        continue;
      }
      const tries = retries.get(failed) ?? 0;
      if (isPassing(error) && tries < limits.retry.retries && mayTryAgain(error, limits.retry)) {
        retries.set(failed, tries + 1);
        later.push({ target: failed, dueAt: performance.now() + pauseMs(error.retryAfter, tries, limits.retry) });
      }
      const name = failed.provider.name;
      providerFailures.set(name, (providerFailures.get(name) ?? 0) + 1);
      reorder(queue, failed, error, providerFailures.get(name)!);
      later = later.filter(({ target: other }) => !isHopeless(other, failed, error));
    }
    const { error } = outcome.failures.at(-1)!;
    if (calls.made >= limits.maxAttempts) throw error;
    if (queue.length > 0) continue;
    if (later.length === 0) throw error;
    await pause(Math.min(...later.map(({ dueAt }) => dueAt)) - performance.now(), request.life);
    if (request.life.aborted) throw error;
    const [next] = later.sort((a, b) => a.dueAt - b.dueAt);
    later = later.slice(1);
    queue.push(next!.target);
  }
}

/** A little later the same may work. */
const isPassing = ({ blame }: UpstreamFailure): boolean => blame === 'overload' || blame === 'connection';

/** Whether what failed there must fail here too. */
function isHopeless(target: Target, failed: Target, { blame, error }: UpstreamFailure): boolean {
  const { provider, credential } = failed;
  if (blame === 'provider') return target.provider === provider;
  if (blame === 'credential') return target.provider === provider && target.credential.id === credential.id;
  return error?.code === TOO_LONG && contextOf(target) < contextOf(failed);
}

const contextOf = ({ candidate }: Target): number => candidate?.contextTokens ?? Number.POSITIVE_INFINITY;

/** What comes next after a failure: what cannot do better is dropped, what fails often is put last. */
function reorder(queue: Target[], failed: Target, error: UpstreamFailure, failures: number): void {
  const { provider } = failed;
  queue.splice(0, queue.length, ...queue.filter((target) => !isHopeless(target, failed, error)));
  if (error.error?.code === TOO_LONG) {
    // Those of the same size may still count tokens otherwise; the larger ones are the better try.
    queue.sort((a, b) => Number(contextOf(b) > contextOf(failed)) - Number(contextOf(a) > contextOf(failed)));
  } else if (failures >= FAILURES_BEFORE_LAST) {
    const others = queue.filter((target) => target.provider !== provider);
    const same = queue.filter((target) => target.provider === provider);
    queue.splice(0, queue.length, ...others, ...same);
  }
}
