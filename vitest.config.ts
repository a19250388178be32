import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/run/longest-first.ts';

const compiledThreads = fileURLToPath(new URL('test/run/start-worker.ts', import.meta.url));

/** One more than there are processors, since many tests wait; no more than a machine's memory bears. */
const AT_ONCE = Math.min(availableParallelism() + 1, 8);

export default defineConfig({
  plugins: [
    {
      name: 'threads run the compiled program',
      enforce: 'pre',
      resolveId: (source) => (source.endsWith('/start-worker.ts') ? compiledThreads : null),
    },
  ],
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/run/desk.ts'],
    // What hangs is told from what waits for a busy machine: nothing here takes a minute on a quiet one.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 50_000, interval: 20 } },
    // Native addons (ONNX Runtime) are loaded once per process, not once per thread.
    pool: 'forks',
    maxWorkers: AT_ONCE,
    sequence: { sequencer: LongestFirst },
  },
});
