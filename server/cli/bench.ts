/** `pointsman bench`: distributions of what a decision costs in time; prints, never judges. */
import { cpus } from 'node:os';
import { Command } from 'commander';
import { decisionLatency } from '../../eval/bench/decision-latency.ts';
import { Router } from '../../router/index.ts';
import { positive } from './numbers.ts';

export function benchCommand(): Command {
  return new Command('bench')
    .description('Measure routing decisions of 100, 500 and 4 000 characters on this machine.')
    .option('--artifact <dir>', 'router artifact (default: the shipped one)')
    .option('--decisions <n>', 'decisions per length', positive, 5000)
    .option('--seed <n>', 'of the generated prompts', positive, 1)
    .option('--json', 'print only JSON')
    .action(async (options: { artifact?: string; decisions: number; seed: number; json?: boolean }) => {
      const started = performance.now();
      const router = await Router.load(options.artifact === undefined ? {} : { artifact: options.artifact });
      const loadMs = performance.now() - started;
      const rows = await decisionLatency(router, {
        lengths: [100, 500, 4000],
        decisions: options.decisions,
        seed: options.seed,
      });
      const rssMb = process.memoryUsage.rss() / 2 ** 20;
      if (options.json) {
        process.stdout.write(
          `${JSON.stringify({ artifact: router.artifactHash, candidates: router.candidates.length, loadMs, rssMb, rows })}\n`,
        );
        return;
      }
      const ms = (x: number): string => x.toFixed(3).padStart(9);
      process.stdout.write(
        [
          `Routing decisions, one at a time on one thread, ${router.candidates.length} candidates, artifact ${router.artifactHash.slice(0, 12)}`,
          `${cpus()[0]?.model.trim() ?? 'unknown processor'}, Node ${process.version}; every prompt is different; milliseconds`,
          '',
          'characters  decisions      p50       p90       p99       max',
          ...rows.map(
            (r) =>
              `${String(r.chars).padStart(10)} ${String(r.decisions).padStart(10)}${ms(r.p50)} ${ms(r.p90)} ${ms(r.p99)} ${ms(r.max)}`,
          ),
          '',
          `loading the router took ${loadMs.toFixed(0)} ms; the process now holds ${rssMb.toFixed(0)} MB`,
          '',
        ].join('\n'),
      );
    });
}
