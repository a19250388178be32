/** The demo without data: four local programs as models, generated tasks whose answers can be checked. */
import type { Checker, Result } from './client.ts';
import { type LoopOutcome, runLoop, type Say } from './loop.ts';
import { PROGRAMS } from './programs.ts';
import { isRight, makeTasks, type Task } from './tasks.ts';
import { startUpstreams } from './upstreams.ts';

export interface DemoOptions {
  /** Tasks asked with feedback, to learn from. */
  readonly practice: number;
  /** Other tasks, asked before and after the retraining, never judged. */
  readonly fresh: number;
  readonly seed: number;
}

export interface DemoOutcome extends Omit<LoopOutcome<Task>, 'single'> {
  readonly options: DemoOptions;
  /** Every program asked all fresh tasks by name, cheapest first: always-cheapest … always-best. */
  readonly single: readonly {
    readonly model: string;
    readonly about: string;
    readonly results: readonly Result<Task>[];
  }[];
}

const CHECKER: Checker<Task> = { source: 'checker', score: (task, reply) => (isRight(task, reply) ? 1 : 0) };

/** @param say told what happens, for people */
export async function runDemo(options: DemoOptions, say: Say, stop: AbortSignal): Promise<DemoOutcome> {
  const tasks = makeTasks(options.practice + options.fresh, options.seed);
  const outcome = await runLoop(
    {
      candidates: PROGRAMS.map((p) => p.candidate),
      start: () => startUpstreams(PROGRAMS),
      what: 'four local programs',
      noun: 'tasks',
      practice: tasks.slice(0, options.practice),
      fresh: tasks.slice(options.practice),
      named: PROGRAMS.map((p) => p.candidate.id),
      checker: CHECKER,
    },
    say,
    stop,
  );
  const single = PROGRAMS.map(({ candidate, about }, k) => ({
    model: candidate.id,
    about,
    results: outcome.single[k]!,
  }));
  return { ...outcome, options, single };
}
