/**
 * Runs the tests. A file that failed beside others runs once more alone, since real processes, browsers and
 * databases can run out of time on a machine that is busy with other tests; whatever then passes is named.
 *
 * What would fail a second time anyway is not asked again, and what might not is not forgiven: a property that found
 * a counter-example, an error outside of any test, more files than a busy machine explains.
 */
import { parseCLI, startVitest, type TestCase, type TestModule } from 'vitest/node';

/** More failed files than this are no accident. */
const MOST_AGAIN = 5;

const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)]);
const first = await startVitest('test', filter, options);
const modules = first.state.getTestModules();
const failed = modules.filter((module) => !module.ok());
const unforgivable = first.state.getUnhandledErrors().length > 0 || failed.some(foundCounterExample);
await first.close();

if (failed.length > 0 && failed.length <= MOST_AGAIN && !unforgivable) {
  const names = failed.map(({ relativeModuleId }) => relativeModuleId);
  process.stdout.write(`\nOnce more, alone: ${names.join(', ')}\n`);
  process.exitCode = 0;
  const alone = ['--maxWorkers=1', '--no-file-parallelism'];
  const second = await startVitest('test', names, parseCLI(['vitest', 'run', ...alone]).options);
  const again = second.state.getTestModules();
  if (again.length < failed.length || second.state.getUnhandledErrors().length > 0) process.exitCode = 1;
  await second.close();
  const mended = again.filter((module) => module.ok()).map(({ relativeModuleId }) => relativeModuleId);
  if (mended.length > 0) process.stdout.write(`\nFailed beside others and passed alone: ${mended.join(', ')}\n`);
  const kept = modules.filter((module) => !failed.includes(module));
  process.stdout.write(`\n${summary([...kept, ...again])}\n`);
}

function testsOf(module: TestModule): TestCase[] {
  return [...module.children.allTests()];
}

function foundCounterExample(module: TestModule): boolean {
  return testsOf(module).some((test) =>
    (test.result().errors ?? []).some(({ message }) => message.includes('Property failed after')),
  );
}

/** In vitest's own words, over both runs: ` Tests  7 passed | 1 skipped (8)`. */
function summary(modules: readonly TestModule[]): string {
  const states = modules.flatMap(testsOf).map((test) => test.result().state);
  const counts = (['failed', 'passed', 'skipped'] as const)
    .map((state) => [states.filter((each) => each === state).length, state] as const)
    .filter(([count]) => count > 0)
    .map(([count, state]) => `${count} ${state}`);
  return ` Tests  ${counts.join(' | ')} (${states.length})`;
}
