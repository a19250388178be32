/** Finds what patterns match, by RE2's rules; long texts in a thread of their own, so that other requests need not wait. */
import { createRequire } from 'node:module';
import { RoutingError } from '../../../../datasets/index.ts';
import { AskedThread } from '../../../verify/asked-thread.ts';
import type { Range } from './deny-words.ts';

export type FindRanges = (text: string, from: number) => Range[];

/** @returns what finds the matches of each pattern that begin at `from` or later, in no order */
export function rangesOf(patterns: readonly string[]): FindRanges {
  const { RE2JS } = createRequire(import.meta.url)('re2js') as typeof import('re2js');
  const compiled = patterns.map((pattern) => RE2JS.compile(pattern));
  return (text, from) => {
    const ranges: Range[] = [];
    for (const pattern of compiled) {
      const matcher = pattern.matcher(text);
      for (let at = from; at <= text.length && matcher.find(at); ) {
        const start = matcher.start();
        const end = matcher.end();
        // What matches nothing, as `a*` may, is nothing found.
        if (end > start) ranges.push({ start, end });
        at = end > start ? end : end + 1;
      }
    }
    return ranges;
  };
}

export interface RangesQuestion {
  readonly id: number;
  readonly patterns: readonly string[];
  readonly text: string;
}

export interface RangesReply {
  readonly id: number;
  /** Null: the engine failed. */
  readonly ranges: readonly Range[] | null;
}

const PATIENCE_MS = 10_000;

/** One for all rules: it is started by the first long text. */
export class PatternThread {
  readonly #thread = new AskedThread<Omit<RangesQuestion, 'id'>, RangesReply, readonly Range[]>({
    base: import.meta.url,
    name: './deny-worker',
    answerIn: ({ ranges }) => ranges,
  });

  /** @throws `INTERNAL` when it takes longer than {@link PATIENCE_MS}, or the thread died */
  find(patterns: readonly string[], text: string): Promise<readonly Range[]> {
    const late = () => new RoutingError('INTERNAL', `guardrail patterns took longer than ${PATIENCE_MS} ms`);
    return this.#thread.ask({ patterns, text }, PATIENCE_MS, late);
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}
