import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Native addons (ONNX Runtime) are loaded once per process, not once per thread.
    pool: 'forks',
    maxWorkers: 2,
  },
});
