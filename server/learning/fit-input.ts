/**
 * What fitting reads of the database, as messages to its thread: pages that this thread only passes on, since to read
 * 50 000 rows' JSON or to hand over their objects at once would hold up answers.
 */
import { and, asc, eq, inArray, isNotNull } from 'drizzle-orm';
import { databaseError } from '../db/connection.ts';
import { alarms, texts as keptTexts } from '../db/schema.ts';
import type { SqlStore } from '../db/store.ts';
import type { LeftOut } from './learnable.ts';
import { type LogPage, type Sample, samplesOf, scanLog } from './log.ts';
import { readUnjudged, type Unjudged } from './observation.ts';
import type { ModelChange } from './weights.ts';

/** Pages, newest first, each followed by the prompts that are kept of it where they are asked for; then the rest, which is the last. */
export type FitMessage =
  | { readonly page: LogPage }
  | { readonly texts: readonly { readonly id: string; readonly prompt: string }[] }
  | { readonly rest: RestOfInput };

export interface RestOfInput {
  readonly unjudged: Unjudged | null;
  readonly changes: readonly ModelChange[];
  readonly leftOut: Readonly<Record<LeftOut, number>>;
  readonly limited: boolean;
}

/** All that fitting learns from. */
export interface FitData {
  /** Oldest first. */
  readonly samples: readonly Sample[];
  /** Answers that nobody judged, from the same time; null: none were looked for. */
  readonly unjudged?: Unjudged | null;
  readonly changes?: readonly ModelChange[];
  /** Prompts that are kept, by decision. */
  readonly texts?: ReadonlyMap<string, string>;
}

/** @throws `DATABASE_UNAVAILABLE` */
export async function* fitInput(
  store: Pick<SqlStore, 'db'>,
  {
    encoderId,
    maxSamples,
    hints = false,
    texts = false,
  }: {
    readonly encoderId: string;
    readonly maxSamples: number;
    readonly hints?: boolean;
    readonly texts?: boolean;
  },
): AsyncGenerator<FitMessage> {
  const scan = scanLog(store, encoderId, { limit: maxSamples, hints });
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for await (const page of scan.pages) {
    for (const { createdAt } of page.rows) {
      from = Math.min(from, createdAt.getTime());
      to = Math.max(to, createdAt.getTime());
    }
    yield { page };
    if (texts)
      yield {
        texts: await promptsOf(
          store,
          page.rows.map(({ id }) => id),
        ),
      };
  }
  const unjudged = from <= to ? await readUnjudged(store, { from, to }) : null;
  const changes = await modelChanges(store);
  yield { rest: { unjudged, changes, leftOut: scan.leftOut, limited: scan.limited } };
}

async function promptsOf({ db }: Pick<SqlStore, 'db'>, ids: readonly string[]) {
  return db
    .select({ id: keptTexts.decisionId, prompt: keptTexts.prompt })
    .from(keptTexts)
    .where(inArray(keptTexts.decisionId, [...ids]))
    .catch((error) => {
      throw databaseError(error);
    });
}

/** Cleared alarms too: what was before a change stays before it after a retraining has taken note of it. */
async function modelChanges({ db }: Pick<SqlStore, 'db'>): Promise<ModelChange[]> {
  const rows = await db
    .select({ model: alarms.subject, changedAt: alarms.changedAt })
    .from(alarms)
    .where(and(eq(alarms.kind, 'model-change'), isNotNull(alarms.subject), isNotNull(alarms.changedAt)))
    .orderBy(asc(alarms.ordinal))
    .catch((error) => {
      throw databaseError(error);
    });
  return rows.map(({ model, changedAt }) => ({ model: model!, changedAt: changedAt!.getTime() }));
}

/** The other end: messages as they come → all that fitting learns from. */
export class FitInbox {
  readonly #samples: Sample[] = [];
  readonly #texts = new Map<string, string>();

  /** @returns null until the last message */
  take(message: FitMessage): { readonly data: FitData; readonly rest: RestOfInput } | null {
    if ('page' in message) {
      this.#samples.push(...samplesOf(message.page));
      return null;
    }
    if ('texts' in message) {
      for (const { id, prompt } of message.texts) if (prompt.trim() !== '') this.#texts.set(id, prompt);
      return null;
    }
    const { unjudged, changes } = message.rest;
    const data = { samples: this.#samples.reverse(), texts: this.#texts, unjudged, changes };
    return { data, rest: message.rest };
  }
}
