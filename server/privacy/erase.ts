/** Takes a person out of the log: texts, answers kept for the same request, embeddings, facts, verdicts and pins go; what was called and what it cost stays, of nobody. */
import { and, eq, inArray, or } from 'drizzle-orm';
import { databaseError } from '../db/connection.ts';
import { decisions, feedback, outcomes, texts } from '../db/schema.ts';
import { deletePins } from '../db/sessions.ts';
import type { SqlStore } from '../db/store.ts';
import { deleteAnswersOf } from '../governance/cache/shared-answers.ts';
import { type EndUsers, withoutSession } from './end-user.ts';
import { askForRewrite } from './rewriting.ts';

export interface Erased {
  /** Requests that were this person's. */
  readonly decisions: number;
  readonly feedback: number;
  readonly texts: number;
}

const BATCH = 500;

/**
 * Everything of one end user of a tenant, by the id that the client sent (`user`, `safety_identifier`,
 * `metadata.user_id`), in this database and in what this process has not written yet. Rows that another replica still
 * holds, since the database was away for it, come later: erase again then. Routers that were fitted before keep what
 * they learned until the next retraining. The embedded database's files lose the bytes at once, or within a minute or so
 * where they were written anew just before.
 * @throws `DATABASE_UNAVAILABLE`: nothing is promised then, ask again
 */
export async function eraseUser(store: SqlStore, users: EndUsers, tenant: string, user: string): Promise<Erased> {
  const { db } = store;
  await store.flush();
  const hashes = users.hashes(tenant, withoutSession(user));
  const whose = and(
    eq(decisions.tenant, tenant),
    // Where a client told no conversation, the user's id is what the session is called.
    or(inArray(decisions.endUser, hashes), eq(decisions.session, user)),
  );
  let [rows, verdicts, kept] = [0, 0, 0];
  try {
    const answers = await deleteAnswersOf(db, tenant, hashes);
    for (;;) {
      const found = await db
        .select({ id: decisions.id, session: decisions.session })
        .from(decisions)
        .where(whose)
        .limit(BATCH);
      if (found.length === 0) {
        // The embedded database has nobody who cleans up after it.
        if (rows + answers > 0) await askForRewrite(store);
        return { decisions: rows, feedback: verdicts, texts: kept };
      }
      const ids = found.map(({ id }) => id);
      const goneTexts = await db
        .delete(texts)
        .where(inArray(texts.decisionId, ids))
        .returning({ id: texts.decisionId });
      const gone = await db.delete(feedback).where(inArray(feedback.decisionId, ids)).returning({ id: feedback.id });
      await db.delete(outcomes).where(inArray(outcomes.decisionId, ids));
      const told = [...new Set(found.flatMap(({ session }) => (session === null ? [] : [session])))];
      await deletePins(db, tenant, told);
      // Last, since it is what they are found by.
      await db
        .update(decisions)
        .set({
          endUser: null,
          session: null,
          embedding: null,
          encoderId: null,
          facts: {},
          tags: [],
          ranked: [],
          filtered: [],
          distribution: [],
          candidates: null,
          candidateList: null,
          difficulty: null,
          outOfDomain: null,
          observed: null,
          shadow: null,
        })
        .where(inArray(decisions.id, ids));
      rows += ids.length;
      verdicts += gone.length;
      kept += goneTexts.length;
    }
  } catch (error) {
    throw databaseError(error);
  }
}
