/** Tests answers against patterns, beside the gateway's own thread and within a time. */
import { RoutingError } from '../../datasets/index.ts';
import { AskedThread } from './asked-thread.ts';

export interface PatternQuestion {
  readonly id: number;
  readonly text: string;
  readonly must: readonly string[];
  readonly mustNot: readonly string[];
}

export interface PatternReply {
  readonly id: number;
  /** Null: the engine failed. */
  readonly isRight: boolean | null;
}

/** Some 20 MB of text; and the thread's own start. */
const PATIENCE_MS = 10_000;

export class Patterns {
  readonly #thread = new AskedThread<Omit<PatternQuestion, 'id'>, PatternReply, boolean>({
    base: import.meta.url,
    name: './pattern-worker',
    answerIn: ({ isRight }) => isRight,
  });

  /** @throws `UPSTREAM_TIMEOUT` after {@link PATIENCE_MS}, `INTERNAL` where the thread died */
  test({ text, must, mustNot }: Omit<PatternQuestion, 'id'>, patienceMs = PATIENCE_MS): Promise<boolean> {
    const late = () => new RoutingError('UPSTREAM_TIMEOUT', `patterns took longer than ${patienceMs} ms`);
    return this.#thread.ask({ text, must, mustNot }, patienceMs, late);
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}
