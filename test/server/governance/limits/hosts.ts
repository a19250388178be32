/** Limits by themselves, without a gateway around them: callers, requests and calls as tests need them. */
import type { Caller } from '../../../../server/callers.ts';
import { ANYBODY } from '../../../../server/callers.ts';
import { GatewayConfig } from '../../../../server/config/index.ts';
import type { AttemptRecord, Store } from '../../../../server/db/store.ts';
import type { KeyChains } from '../../../../server/governance/limits/carry-over.ts';
import type { Expectation } from '../../../../server/governance/limits/limits.ts';
import { type Entrant, Limits, type LimitsOptions } from '../../../../server/governance/limits/limits.ts';

/** Keeps nothing. */
const NO_DATABASE: Store = {
  record() {},
  saved: async () => {},
  flush: async () => {},
  getDecision: async () => null,
  ready: async () => true,
  close: async () => {},
};

export interface Told {
  readonly url: string;
  readonly body: Record<string, unknown>;
}

export interface TestLimits {
  readonly limits: Limits;
  /** Replaces the configuration, as a reload does. */
  configure(limits: object): void;
  /** What the webhook got. */
  readonly told: Told[];
  /** What the log got. */
  readonly said: { readonly details: Record<string, unknown>; readonly message: string }[];
  /** Set to make the webhook fail. */
  webhookFails: boolean;
}

export function limitsOver(
  config: object,
  { store = NO_DATABASE, keys, ...options }: LimitsOptions & { readonly store?: Store; readonly keys?: KeyChains } = {},
): TestLimits {
  const parse = (limits: object) => GatewayConfig.parse({ limits });
  const told: Told[] = [];
  const said: TestLimits['said'] = [];
  const host = {
    store,
    config: parse(config),
    ...(keys !== undefined && { governance: { keys } }),
    setup: {
      egress: {
        async tell(url: string, body: unknown) {
          if (test.webhookFails) throw new Error('nobody there');
          told.push({ url, body: body as Told['body'] });
        },
      },
    },
  };
  const limits = new Limits(host, options);
  limits.log = { warn: (details, message) => said.push({ details: details as Record<string, unknown>, message }) };
  const test: TestLimits = {
    limits,
    configure(changed) {
      host.config = parse(changed);
    },
    told,
    said,
    webhookFails: false,
  };
  return test;
}

export const callerOf = (more: Partial<Caller> = {}): Caller => ({
  ...ANYBODY,
  kind: 'key',
  name: 'one',
  tenant: 'search',
  ...more,
});

export const entrantOf = (more: Partial<Entrant> = {}): Entrant => ({
  caller: callerOf(),
  tags: more.caller?.tags ?? [],
  surface: 'chat',
  requestedModel: 'one/a',
  isAuto: false,
  chars: 400,
  ...more,
});

/** Costs a USD for each 1 000 tokens of its answer, and nothing else. */
export const PRICE = { inputUsdPerMTok: 0, outputUsdPerMTok: 1000 };

/** @param usd what it is expected to cost */
export const expecting = (usd: number, more: Partial<Expectation> = {}): Expectation => ({
  model: 'one/a',
  provider: 'one',
  inputTokens: 10,
  outputTokens: 0,
  mostOutputTokens: usd * 1000,
  answers: 1,
  price: PRICE,
  ...more,
});

let made = 0;

export function attemptOf(costUsd: number | null, more: Partial<AttemptRecord> = {}): AttemptRecord {
  const id = `call-${++made}`;
  return {
    id,
    decisionId: id,
    ordinal: 0,
    provider: 'one',
    model: 'one/a',
    deployment: 'one/a',
    purpose: 'answer',
    startedAt: new Date(),
    status: 'ok',
    httpStatus: 200,
    errorCode: null,
    inputTokens: 10,
    cachedInputTokens: null,
    cacheWriteTokens: null,
    outputTokens: 5,
    reasoningTokens: null,
    costUsd,
    firstByteMs: 1,
    totalMs: 1,
    ...more,
  };
}

/** One request from beginning to end. @returns whether it was let in, else the code it was refused with */
export async function request(
  limits: Limits,
  {
    usd = 0.01,
    spends = usd,
    entrant = entrantOf(),
    ms = 0,
  }: { usd?: number; spends?: number; entrant?: Entrant; ms?: number } = {},
): Promise<string> {
  try {
    const { caller, pending } = limits.admit(entrant);
    const account = await limits.reserve({ ...entrant, caller, pending }, expecting(usd));
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    account.note(attemptOf(spends));
    account.close();
    return 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

export const countOf = (answers: readonly string[], what: string): number =>
  answers.filter((one) => one === what).length;
