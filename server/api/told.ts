/** What a reply's headers tell: who answered, why, at what cost, and what that saved. */
import { costUsd, type Tokens } from '../../datasets/catalog/price.ts';
import type { DecisionRecord } from '../db/store.ts';
import type { Checked } from '../escalation/index.ts';
import type { JsonAnswer } from '../forward/attempt.ts';
import type { OpenCall } from '../forward/forward.ts';
import { tokensOfChars } from '../forward/usage.ts';
import type { Gateway } from '../gateway.ts';

export interface Expected {
  readonly inputTokens: number;
  /** Expected tokens of the answer, for the estimate of a stream's saving. */
  readonly outputTokens: number;
}

export const idHeaders = ({ id }: Pick<DecisionRecord, 'id'>): Record<string, string> => ({
  'x-request-id': id,
  // The name that Anthropic's clients show.
  'request-id': `req_${id}`,
  'x-pointsman-decision-id': id,
});

export interface Telling {
  readonly record: DecisionRecord;
  readonly expected: Expected;
  /** The client wrote another name than the model's. */
  readonly alias: string | null;
  /** More than the usual headers. */
  readonly explain: boolean;
  /** What came of checking the answer; undefined: nothing was checked. */
  readonly checked?: Checked | undefined;
}

/**
 * The headers that tell what was done, and the baseline's cost on the record. The saving counts the
 * tokens reported for a plain answer, the expected ones for a stream, and nets failed attempts.
 */
export function sumUp(
  gateway: Gateway,
  { record, expected, alias, explain, checked }: Telling,
  { target, attempts, spentUsd }: Pick<OpenCall, 'target' | 'attempts' | 'spentUsd'>,
  answered: JsonAnswer | undefined,
): Record<string, string> {
  const tokens: Tokens =
    answered === undefined
      ? expected
      : (answered.usage ?? { ...expected, outputTokens: tokensOfChars(answered.outputChars) });
  const headers: Record<string, string> = {
    ...idHeaders(record),
    'x-pointsman-model': ascii(target.id),
    'x-pointsman-provider': ascii(target.provider.name),
    'x-pointsman-reason': checked?.reason ?? (record.executedModel === record.model ? record.reason : 'fallback'),
  };
  if (checked?.failed === true) headers['x-pointsman-check'] = 'failed';
  if (checked !== undefined && checked.ups > 0) headers['x-pointsman-escalations'] = String(checked.ups);
  if (alias !== null) headers['x-pointsman-alias'] = ascii(alias);
  if (attempts > 1) headers['x-pointsman-attempts'] = String(attempts);
  if (record.routerMs !== null) headers['x-pointsman-router-ms'] = record.routerMs.toFixed(3);
  if (record.routed) headers['x-pointsman-artifact'] = record.artifact ?? '';
  if (explain) Object.assign(headers, explained(record, target.deployment));
  if (target.provider.sandbox) {
    // Nothing was bought, so nothing was saved: neither is claimed, here or on record.
    headers['x-pointsman-sandbox'] = 'true';
    return headers;
  }
  const price = target.candidate;
  if (price === undefined) return headers;
  const cost = costUsd(price, tokens) + spentUsd;
  if (answered !== undefined) headers['x-pointsman-cost-usd'] = usd(cost);
  if (!record.routed) return headers;
  headers['x-pointsman-estimated-cost-usd'] = usd(costUsd(price, expected));
  record.baselineCostUsd = gateway.baselineCostUsd(tokens);
  headers['x-pointsman-baseline'] = ascii(gateway.baseline.id);
  headers['x-pointsman-estimated-saving-usd'] = usd(record.baselineCostUsd - cost);
  return headers;
}

/** On request: what the decision was made of. */
function explained(record: DecisionRecord, deployment: string): Record<string, string> {
  const chosen = record.ranked.find(({ model }) => model === record.executedModel);
  return {
    'x-pointsman-deployment': ascii(deployment),
    'x-pointsman-propensity': String(record.propensity),
    'x-pointsman-floor': String(record.floor),
    'x-pointsman-candidates': String(record.ranked.length),
    'x-pointsman-filtered': String(record.filtered.length),
    ...(chosen && { 'x-pointsman-quality': String(chosen.quality) }),
    ...(record.difficulty !== null && { 'x-pointsman-difficulty': String(record.difficulty) }),
    ...(record.outOfDomain !== null && { 'x-pointsman-out-of-domain': String(record.outOfDomain) }),
    ...(record.session !== null && { 'x-pointsman-session': ascii(record.session) }),
    'x-pointsman-price-date': record.priceDate,
  };
}

/** USD in plain decimals, to a thousandth of a cent of a cent. */
export const usd = (amount: number): string => amount.toFixed(8);

/** Header values carry no other characters. */
export const ascii = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?');
