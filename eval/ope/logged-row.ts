/** One logged decision whose answer was judged: what off-policy estimation needs to know of it. */
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';

/**
 * A line of a log file. `propensity` may be missing here, so that its absence is refused by a message that says why
 * it matters, and not as a mere type error.
 */
export const LoggedRow = z.object({
  id: z.string().min(1),
  /** Rows of one session are not independent. Without it a row is its own session. */
  session: z.string().min(1).optional(),
  /** The model that was drawn. */
  sampled: z.string().min(1),
  /** The model that answered, where a call failed and moved on; default: `sampled`. */
  executed: z.string().min(1).optional(),
  /** Probability with which `sampled` was drawn, in (0, 1], unrounded. */
  propensity: z.number().nullish(),
  /** Every model that could have been drawn → its probability; sums to 1. */
  distribution: z.record(z.string(), z.number()),
  /** What the answer was worth, in [0, 1]. */
  quality: z.number().min(0).max(1),
  /** What it cost, USD. */
  costUsd: z.number().nonnegative().nullish(),
  /** Quality that was forecast when deciding, by model, in [0, 1]. */
  predictions: z.record(z.string(), z.number().min(0).max(1)).optional(),
  /** Cost of a call that was forecast when deciding, by model, USD. */
  costs: z.record(z.string(), z.number().nonnegative()).optional(),
  /** The prompt as numbers, of one length in all rows. */
  embedding: z.array(z.number()).optional(),
  /** When it was decided; rows without it stand in the order of time already. */
  at: z.union([z.number(), z.iso.datetime({ offset: true })]).optional(),
});
export type LoggedRow = Omit<z.infer<typeof LoggedRow>, 'embedding'> & { readonly embedding?: ArrayLike<number> };

/** Probabilities that sum to 1 up to here do: sums of doubles, not rounded digits. */
const SUM_ERROR = 1e-6;

/**
 * Refuses a row on which no estimate can rest.
 * @param where the row, for the message: an id, or file and line
 * @throws `UNDEFINED_METRIC` where the propensity is missing, not in (0, 1], or not that of the distribution; where the
 *         distribution is none; where quality or cost is no number of its range
 */
export function checkLoggedRow(row: LoggedRow, where: string): void {
  const refuse = (field: string, what: string, todo: string): never => {
    throw new RoutingError('UNDEFINED_METRIC', `${where}: field ${field}: ${what}; ${todo}`);
  };
  const { propensity, distribution, sampled, quality, costUsd } = row;
  if (propensity === undefined || propensity === null) {
    refuse(
      'propensity',
      'is missing, and without the probability of what was drawn no other policy can be judged',
      'log it with every decision, or leave out the rows that lack it',
    );
  }
  if (!(propensity! > 0 && propensity! <= 1)) {
    refuse(
      'propensity',
      `${propensity} is not in (0, 1], and what was done cannot have been impossible`,
      'log the probability that the policy gave to the model it drew, unrounded',
    );
  }
  let sum = 0;
  for (const [model, p] of Object.entries(distribution)) {
    if (!(p >= 0 && p <= 1)) refuse(`distribution.${model}`, `${p} is no probability`, 'log a number from 0 to 1');
    sum += p;
  }
  if (!(Math.abs(sum - 1) <= SUM_ERROR)) {
    refuse(
      'distribution',
      `the probabilities sum to ${sum}, not to 1`,
      'log every model that could have been drawn, and do not round',
    );
  }
  const own = Object.hasOwn(distribution, sampled) ? distribution[sampled]! : 0;
  if (Math.abs(own - propensity!) > SUM_ERROR) {
    refuse(
      'propensity',
      `${propensity}, but the distribution gives ${sampled} ${own}`,
      'log both from the same draw, before any fall-back',
    );
  }
  if (!(quality >= 0 && quality <= 1)) refuse('quality', `${quality} is not in [0, 1]`, 'scale the judgement to it');
  if (costUsd !== undefined && costUsd !== null && !(costUsd >= 0 && Number.isFinite(costUsd))) {
    refuse('costUsd', `${costUsd} is no amount of money`, 'leave out a cost that is not known');
  }
}

/** The unit that is resampled: ids of rows and names of sessions do not mix. */
export const sessionOf = ({ session, id }: LoggedRow): string =>
  session === undefined ? `row ${id}` : `of ${session}`;
