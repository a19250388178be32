/** Order of the files: the longest first, so that a run does not end with one long file and idle processors. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest where nothing else runs; a clone has no times of earlier runs to go by. */
const LONGEST = [
  'server/learning/command.test.ts',
  'server/learning/jobs/killed.test.ts',
  'server/chaos/chaos.test.ts',
  'server/learning/retrain.test.ts',
  'server/db/saved.test.ts',
  'server/chaos/replicas.test.ts',
  'server/learning/loop.test.ts',
  'package.test.ts',
  'server/usage/roll-up.test.ts',
  'server/dashboard/page.test.ts',
  'server/demo/recorded.test.ts',
  'server/demo/demo.test.ts',
  'server/cli/operator-app.test.ts',
  'server/main.test.ts',
  'server/bench.test.ts',
  'eval/ope/coverage.test.ts',
  'server/learning/rollout/begin.test.ts',
  'server/learning/jobs/queue.test.ts',
  'router/encoder/transformer/transformer.test.ts',
  'server/dashboard/real.test.ts',
  'eval/leaderboard-command.test.ts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((file) => moduleId.endsWith(`/test/${file}`));
      return at === -1 ? LONGEST.length : at;
    };
    const sorted = await super.sort(files);
    return sorted
      .map((file, i) => ({ file, rank: rank(file), i }))
      .sort((a, b) => a.rank - b.rank || a.i - b.i)
      .map(({ file }) => file);
  }
}
