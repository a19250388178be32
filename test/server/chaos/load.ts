/** Many requests at once, drawn by a seed, and the accounts that must come out even afterwards. */
import { deriveSeed, seededRandom } from '../../../datasets/index.ts';
import type { Ask, Client, Ending, RecordedDecision, Result } from './client.ts';
import type { GatewayProcess } from './gateway-process.ts';
import { MODELS } from './gateway-process.ts';
import type { MisbehavingUpstream } from './misbehaving-upstream.ts';

/** Half of them routed, half to a model by name, in equal shares; half of each streamed. */
export function drawAsks(count: number, seed: number, prefix: string, leaving = 0): Ask[] {
  const random = seededRandom(deriveSeed(seed, prefix));
  return Array.from({ length: count }, (_, i) => ({
    token: `${prefix}-${i}`,
    model: random() < 0.5 ? 'auto' : MODELS[Math.floor(random() * MODELS.length)]!,
    stream: random() < 0.5,
    leavesAfterMs: random() < leaving ? Math.floor(random() * 300) : null,
  }));
}

/** Sends them, so many at a time. @param progress told how many have ended */
export async function sendAll(
  client: Client,
  gateway: GatewayProcess,
  asks: readonly Ask[],
  atOnce: number,
  progress: (ended: number) => void = () => {},
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async () => {
    while (next < asks.length) {
      const ask = asks[next++]!;
      results.push(await client.ask(gateway.url, ask));
      progress(results.length);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

export function countEndings(results: readonly Result[]): Record<Ending, number> {
  const counts: Record<Ending, number> = { answer: 0, error: 0, left: 0, refused: 0, cut: 0, wrong: 0 };
  for (const { ending } of results) counts[ending]++;
  return counts;
}

/** `error UPSTREAM_TIMEOUT 12, …`: for the output, most frequent first. */
export function errorCounts(results: readonly Result[]): string {
  const counts = new Map<string, number>();
  for (const { ending, detail } of results) {
    if (ending === 'error') counts.set(detail, (counts.get(detail) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return sorted.map(([code, n]) => `${code} ${n}`).join(', ');
}

/** Endings that none of these may have, in words. */
export const bad = (results: readonly Result[], endings: readonly Ending[]): string[] =>
  results
    .filter(({ ending }) => endings.includes(ending))
    .map((r) => `${r.token} ${r.model}${r.stream ? ' stream' : ''}: ${r.ending}, ${r.detail}`);

/** How long records may take to be readable. */
const RECORD_MS = 20_000;

/** Reads each decision until its record is complete, or the time is up. */
export async function readRecords(
  client: Client,
  gateway: GatewayProcess,
  results: readonly Result[],
): Promise<Map<string, RecordedDecision | string>> {
  const found = new Map<string, RecordedDecision | string>();
  const until = performance.now() + RECORD_MS;
  let left = results.filter(({ id }) => id !== null);
  for (;;) {
    let next = 0;
    const worker = async () => {
      while (next < left.length) {
        const { id } = left[next++]!;
        const { status, body } = await client.decision(gateway.url, id!);
        found.set(id!, status === 200 ? body : `status ${status}: ${JSON.stringify(body)}`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    left = left.filter(({ id }) => {
      const record = found.get(id!);
      return typeof record === 'string' || record === undefined || record.attempts.length === 0;
    });
    if (left.length === 0 || performance.now() > until) return found;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/**
 * What does not fit between what the client got, what the upstream was asked and what is on record;
 * empty when the accounts come out even. Of a request whose client left in mid-answer only that it is on record.
 */
export function unevenAccounts(
  results: readonly Result[],
  records: ReadonlyMap<string, RecordedDecision | string>,
  upstream: MisbehavingUpstream,
): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const { token, model, ending, id, stream, detail } of results) {
    if (ending !== 'answer' && ending !== 'error' && (ending !== 'left' || id === null)) continue;
    const complain = (what: string) => problems.push(`${token} ${model}${stream ? ' stream' : ''} (${id}): ${what}`);
    // A stopping gateway refuses requests before it decides on anything.
    if (ending === 'error' && detail === 'SHUTTING_DOWN' && id === null) continue;
    if (id === null) {
      complain(`${ending} without a decision’s id`);
      continue;
    }
    if (seen.has(id)) complain('two requests share this id');
    seen.add(id);
    const calls = upstream.calls.get(token) ?? [];
    const strangers = calls.filter((call) => model !== 'auto' && call.model !== model);
    if (strangers.length > 0) complain(`${strangers[0]!.model} was called for it`);
    if (ending === 'answer' && calls.at(-1)?.proper !== true) complain('an answer that the upstream did not give');
    const record = records.get(id);
    if (record === undefined || typeof record === 'string') {
      complain(`not on record: ${record}`);
      continue;
    }
    if (ending === 'left') continue;
    const { attempts } = record;
    if (new Set(attempts.map((each) => each.ordinal)).size !== attempts.length) complain('an attempt is there twice');
    if (attempts.length < calls.length) {
      complain(`${calls.length} calls upstream, ${attempts.length} on record (${calls.map((c) => c.behaviour)})`);
    }
    // A call given up by a clock may not have reached the upstream.
    const certain = attempts.filter(
      ({ errorCode }) => errorCode !== 'UPSTREAM_TIMEOUT' && errorCode !== 'SHUTTING_DOWN',
    );
    if (certain.length > calls.length)
      complain(`${attempts.length} attempts on record, ${calls.length} calls upstream`);
    const last = attempts.at(-1)?.status;
    if (ending === 'answer' && last !== 'ok') complain(`answered, but its last attempt is on record as ${last}`);
    if (ending === 'error' && last === 'ok') complain(`failed (${detail}), but its last attempt is on record as ok`);
  }
  return problems;
}
