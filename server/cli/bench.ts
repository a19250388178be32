/** `pointsman bench`: distributions of what a decision costs in time; prints, never judges. `bench gateway` is its other half. */
import { cpus } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { decisionLatency } from '../../eval/bench/decision-latency.ts';
import { Router } from '../../router/index.ts';
import { CONTENDERS } from '../bench/compare.ts';
import { positive } from './numbers.ts';
import { onStop } from './signals.ts';

export function benchCommand(): Command {
  return new Command('bench')
    .description('Measure routing decisions of 100, 500 and 4 000 characters on this machine.')
    .option('--artifact <dir>', 'router artifact (default: the shipped one)')
    .option('--decisions <n>', 'decisions per length', positive, 5000)
    .option('--seed <n>', 'of the generated prompts', positive, 1)
    .option('--json', 'print only JSON')
    .addCommand(gatewayCommand())
    .addCommand(retrainCommand())
    .addCommand(controlCommand())
    .addCommand(usageCommand())
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

function controlCommand(): Command {
  return new Command('control')
    .description('Measure what keys, policy and limits add to a request.')
    .option('--requests <n>', 'requests let in', positive, 50_000)
    .option('--keys <n>', 'client keys in the database', positive, 1000)
    .option('--limits <n>', 'budgets and rates', positive, 100)
    .option('--rules <n>', 'rules of the policy', positive, 50)
    .option('--json', 'print only JSON')
    .action(async (_: unknown, command: Command) => {
      const { json, ...options } = command.optsWithGlobals<{
        requests: number;
        keys: number;
        limits: number;
        rules: number;
        json?: boolean;
      }>();
      const { benchControl } = await import('../bench/control.ts');
      const found = await benchControl(options, (text) => process.stderr.write(`${text}\n`));
      if (json) {
        process.stdout.write(`${JSON.stringify(found)}\n`);
        return;
      }
      const us = (x: number): string => x.toFixed(1).padStart(8);
      process.stdout.write(
        [
          `What governs a request: ${found.keys} keys, ${found.limits} limits of which 3 are about it, ${found.rules} rules of which 2 are`,
          `${cpus()[0]?.model.trim() ?? 'unknown processor'}, Node ${process.version}; microseconds`,
          '',
          `${''.padEnd(24)}     p50     p95     p99`,
          ...found.steps.map(({ step, p50, p95, p99 }) => `${step.padEnd(24)}${us(p50)}${us(p95)}${us(p99)}`),
          '',
        ].join('\n'),
      );
    });
}

function usageCommand(): Command {
  return new Command('usage')
    .description('Measure the pages of usage over a generated log, on a PostgreSQL of its own.')
    .option('--rows <n>', 'decisions, over thirty days', positive, 200_000)
    .option('--repetitions <n>', 'times that each page is asked for', positive, 30)
    .option('--rate <n>', 'instead, what keeping the sums up to date costs at so many requests a second', positive)
    .option('--json', 'print only JSON')
    .action(async (_: unknown, command: Command) => {
      const { rows, repetitions, rate, json } = command.optsWithGlobals<{
        rows: number;
        repetitions: number;
        rate?: number;
        json?: boolean;
      }>();
      if (rate !== undefined) {
        const { keepingUpBench } = await import('../bench/usage-keeping-up.ts');
        await keepingUpBench({ rates: [rate] }, (text) => process.stdout.write(`${text}\n`));
        return;
      }
      const { usageBench } = await import('../bench/usage.ts');
      const found = await usageBench({ rows, repetitions }, (text) => process.stderr.write(`${text}\n`));
      const ms = (x: number): string => x.toFixed(1).padStart(9);
      const text = [
        `Pages of usage over ${found.rows} decisions of ${found.days} days (${found.megabytes.toFixed(0)} MB), PostgreSQL ${found.postgres}`,
        `${found.machine}; load average ${found.load.toFixed(1)}; each asked ${repetitions} times, one at a time; milliseconds`,
        `a day rolled up: ${found.rollUpMs.p50.toFixed(0)} ms p50, ${found.rollUpMs.max.toFixed(0)} at most; ${found.cells} cells, ${found.slices} slices`,
        '',
        '      p50       p95  page',
        ...found.pages.map(({ page, p50, p95 }) => `${ms(p50)} ${ms(p95)}  ${page}`),
        '',
      ].join('\n');
      process.stdout.write(json ? `${JSON.stringify(found)}\n` : text);
    });
}

interface GatewayOptions {
  readonly seconds: number;
  readonly repetitions: number;
  readonly only?: readonly string[];
  readonly json?: boolean;
}

function gatewayCommand(): Command {
  return new Command('gateway')
    .description(
      'Measure the whole gateway beside the Portkey gateway from npm and a bare proxy, on one local upstream.',
    )
    .option('--seconds <n>', 'for each load', duration, 2)
    .option('--repetitions <n>', 'rounds, each with every contender started afresh', positive, 3)
    .option('--only <ids>', `of ${CONTENDERS.join(', ')}, with commas between (default: all)`, contendersOf)
    .option('--json', 'print only JSON, with every repetition')
    .addHelpText(
      'after',
      `
Takes about ten minutes. Everything stays on this machine's loopback, but for
npm's install of Portkey into a folder for temporary files, kept for next time.`,
    )
    .action(async (_: unknown, command: Command) => {
      // `--json` is an option of both commands, and the outer one takes it first.
      const options = command.optsWithGlobals<GatewayOptions>();
      const [{ compareGateways }, { comparisonPage }, { JUDGED, judge }] = await Promise.all([
        import('../bench/compare.ts'),
        import('../bench/page.ts'),
        import('../bench/judge.ts'),
      ]);
      const stop = new AbortController();
      const forget = onStop(
        () => stop.abort(),
        () => process.exit(130),
      );
      const say = (text: string) => process.stderr.write(`${text}\n`);
      const { seconds, repetitions, only = null } = options;
      try {
        const result = await compareGateways({ seconds, repetitions, only }, say, stop.signal);
        process.stdout.write(
          options.json
            ? `${JSON.stringify({ ...result, targets: Object.fromEntries(JUDGED.map((row) => [row, judge(result, row)])) })}\n`
            : `\n${comparisonPage(result)}`,
        );
      } catch (error) {
        if (!stop.signal.aborted) throw error;
        say('stopped; everything that was started has ended');
        process.exitCode = 130;
      } finally {
        forget();
      }
    });
}

function retrainCommand(): Command {
  return new Command('retrain')
    .description('Measure a retraining on a made-up log: seconds by stage, and how late other work comes meanwhile.')
    .option('--samples <n>', 'judged answers in the log', positive, 50_000)
    .option('--models <n>', 'models that answered', positive, 15)
    .option('--database <url>', 'an empty PostgreSQL database (default: an embedded one, removed afterwards)')
    .option('--seed <n>', 'of the log', positive, 1)
    .option('--json', 'print only JSON')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<{
        samples: number;
        models: number;
        database?: string;
        seed: number;
        json?: boolean;
      }>();
      const { benchRetrain } = await import('../bench/retrain.ts');
      const { samples: decisions, models, database: databaseUrl, seed } = options;
      const result = await benchRetrain({ decisions, models, seed, databaseUrl }, (text) =>
        process.stderr.write(`${text}\n`),
      );
      if (options.json) {
        process.stdout.write(`${JSON.stringify(result)}\n`);
        return;
      }
      const { stages, delay } = result;
      const line = (name: string, clock: number, processor: number): string =>
        `${name.padEnd(30)}${clock.toFixed(1).padStart(8)} s${processor.toFixed(1).padStart(10)} s`;
      process.stdout.write(
        [
          `A retraining on ${result.decisions} judged answers of ${models} models, ${result.dimension} dimensions, ${result.database} database`,
          `${cpus()[0]?.model.trim() ?? 'unknown processor'}, Node ${process.version}`,
          '',
          `${''.padEnd(30)}${'clock'.padStart(10)}${'processor'.padStart(12)}`,
          ...stages.map((stage) => line(stage.name, stage.seconds, stage.processorSeconds)),
          line(
            'in all',
            stages.reduce((sum, stage) => sum + stage.seconds, 0),
            stages.reduce((sum, stage) => sum + stage.processorSeconds, 0),
          ),
          '',
          `this thread came late by ${delay.p50.toFixed(1)} ms at the median, ${delay.p99.toFixed(1)} ms at the 99th percentile, ${delay.max.toFixed(0)} ms at most`,
          `(that counts the timer's own millisecond); the process holds ${result.rssMb.toFixed(0)} MB; verdict: ${result.verdict}`,
          '',
        ].join('\n'),
      );
    });
}

/** Seconds, fractions allowed: a quick look needs no more than half a one. */
function duration(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0.1 && value <= 600)) {
    throw new InvalidArgumentError('give a number of seconds from 0.1 to 600.');
  }
  return value;
}

function contendersOf(text: string): string[] {
  const ids = text.split(',').map((id) => id.trim());
  const unknown = ids.find((id) => !CONTENDERS.some((known) => known === id));
  if (unknown !== undefined) throw new InvalidArgumentError(`no ${unknown} here; choose of ${CONTENDERS.join(', ')}.`);
  return ids;
}
