/** What a request to `POST /v1/feedback` says, as one number and where it comes from: scores, thumbs, labels and corrections alike. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';

const WAYS = ['score', 'thumbs', 'label', 'correction'] as const;

export const FeedbackBody = z
  .strictObject({
    decisionId: z.string('the x-pointsman-decision-id of the answer').min(1).max(200),
    /** 0 = useless, 1 = as good as it gets. */
    score: z.number('a number from 0 (useless) to 1 (right)').min(0).max(1).optional(),
    thumbs: z.enum(['up', 'down'], 'up or down').optional(),
    /** One of `feedback.labels` of the configuration. */
    label: z.string('one of the labels of the configuration').min(1).max(100).optional(),
    /** What the answer should have been. Its text goes nowhere. */
    correction: z.string('what the answer should have been').min(1).optional(),
    /** Who judged: `user`, `code`, `judge`, each with a name of its own after a colon if there are several. */
    source: z.string().min(1).max(100).default('user'),
    /** The same id again is the same verdict, not a second one; the header `idempotency-key` says the same. */
    id: z.string('a text').min(1).max(255).optional(),
  })
  .superRefine((body, context) => {
    const said = WAYS.filter((way) => body[way] !== undefined);
    if (said.length === 1 || (said.length === 2 && said[0] === 'score' && said[1] === 'correction')) return;
    const message =
      said.length === 0
        ? 'say one of score, thumbs, label and correction'
        : `say one of ${said.join(', ')}; only a correction may have a score beside it`;
    context.addIssue({ code: 'custom', path: [said[1] ?? 'score'], message });
  });
export type FeedbackBody = z.infer<typeof FeedbackBody>;

export interface Verdict {
  /** In [0, 1]. */
  readonly score: number;
  readonly label: string | null;
  readonly source: string;
}

/** What an answer that had to be corrected is worth, unless `feedback.labels` says something else of it. */
export const CORRECTED = { label: 'corrected', score: 0 } as const;

/**
 * @param labels label → score
 * @throws `INVALID_REQUEST` naming the labels, or what is wrong with the source
 */
export function verdictOf(body: FeedbackBody, tenant: string, labels: Readonly<Record<string, number>>): Verdict {
  const source = sourceOf(body.source, tenant);
  const worth = (label: string) => (Object.hasOwn(labels, label) ? labels[label] : undefined);
  if (body.correction !== undefined) {
    const { label } = CORRECTED;
    return { score: body.score ?? worth(label) ?? CORRECTED.score, label, source };
  }
  if (body.label !== undefined) {
    const score = worth(body.label);
    if (score !== undefined) return { score, label: body.label, source };
    throw new RoutingError('INVALID_REQUEST', `label: no such label; known: ${Object.keys(labels).join(', ')}`);
  }
  return { score: body.score ?? (body.thumbs === 'up' ? 1 : 0), label: null, source };
}

const KINDS: ReadonlySet<string> = new Set(['user', 'code', 'judge']);
/** Only the gateway itself speaks for these. */
const OURS: ReadonlySet<string> = new Set(['verifier', 'hint', 'audit']);
const IDENTIFIER = /^[a-z0-9][\w.@+/-]*$/i;

/**
 * `user`, `code` or `judge`; a name that follows, which may be a person's, becomes eight digits of its hash, the same
 * within a team. Any other identifier is a program's: `tests` is `code:` and its hash.
 * @throws `INVALID_REQUEST`
 */
export function sourceOf(said: string, tenant: string): string {
  const colon = said.indexOf(':');
  const kind = (colon < 0 ? said : said.slice(0, colon)).toLowerCase();
  const name = colon < 0 ? null : said.slice(colon + 1);
  if (OURS.has(kind)) {
    throw new RoutingError('INVALID_REQUEST', `source: ${kind} is the gateway’s own; say user, code or judge`);
  }
  if (!IDENTIFIER.test(kind) || (name !== null && !name.split(':').every((part) => IDENTIFIER.test(part)))) {
    throw new RoutingError(
      'INVALID_REQUEST',
      'source: must be user, code or judge, or one of them and a name of letters, digits and ._@+/- after a colon',
    );
  }
  if (!KINDS.has(kind)) return `code:${shortHash(tenant, said)}`;
  return name === null ? kind : `${kind}:${shortHash(tenant, name)}`;
}

const shortHash = (tenant: string, name: string): string =>
  createHash('sha256')
    .update(JSON.stringify([tenant, name]))
    .digest('hex')
    .slice(0, 8);

/** The id of a verdict that the client gave an id of its own: the same again falls on the same row, here and on every replica. */
export const feedbackId = (tenant: string, key: string | null, decisionId: string, given: string): string =>
  createHash('sha256')
    .update(JSON.stringify([tenant, key, decisionId, given]))
    .digest('hex')
    .slice(0, 32);
