/** `pointsman replay`: recorded outcomes in order, as if a router had lived through them, learning as it goes. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { RoutingError, readCatalog } from '../../datasets/index.ts';
import { resolveForTraining } from '../../datasets/sources/index.ts';
import { defaultReplayDir, readEvaluationData } from '../../eval/data.ts';
import { parseEvent } from '../../eval/replay/events.ts';
import { REPLAY_DEFAULTS } from '../../eval/replay/options.ts';
import { ORDERS, type ReplayOrder, readTimes } from '../../eval/replay/order.ts';
import { STICKINESS, type Stickiness } from '../../eval/replay/play.ts';
import { type ReplaySource, replay } from '../../eval/replay/replay.ts';
import { replayHtml, replayJson, replayText } from '../../eval/report/replay-report.ts';
import { loadArtifact } from '../../router/artifact/artifact.ts';
import { trainedOn } from '../../router/artifact/trained-on.ts';
import { natural, number, positive } from './numbers.ts';
import { progressLine } from './progress.ts';
import { reportFolder } from './report-folder.ts';

const HELP = `
The router decides on each prompt with what it has learned so far, sees only
the outcome of the model it chose, and learns anew every --retrain-every
decisions. Beside it, on the same prompts with the same events: the cheapest,
the best and, in hindsight, the best fixed model, a router that learns each
model's mean only, the oracle.

With --start artifact each training is the one that a gateway runs on its log,
which takes seconds; from nothing it takes a tenth of one.

Order: by the field "at" of prompts.jsonl where every prompt has one, else
groups in random order; --order says otherwise. Decisions are counted from 1,
after the warm-up.

Events (--event may stand several times)
  price:MODEL@500=2          from decision 500 on it costs twice as much
  quality:MODEL@500=-0.2     from then on its mean quality is 0.2 lower, and
                             nobody tells the router
  outage:MODEL@500-700       it does not answer; the router knows
  blind-outage:MODEL@500-700 the router calls it, waits --attempt-ms, and asks
                             the next one
  with "at" in the data also dates: price:MODEL@2026-05-01=2,
  outage:MODEL@2026-05-01..2026-05-03

Examples
  pointsman replay --data DIR                 from nothing
  pointsman replay --data DIR --warm 300      300 prompts labelled beforehand
  pointsman replay --data DIR --start artifact --feedback 0.2
  pointsman replay --data DIR --event price:openai/gpt-4o@800=0.5
  pointsman replay --data DIR --sessions 5    conversations, caching priced in
  pointsman replay --data DIR --cascade CHEAP,DEAR --judge-cost 0.0002
  pointsman replay --data DIR --router-cost 0.00001 --audit 0.01 --json`;

interface Options {
  data: string[];
  artifact?: string | undefined;
  order?: ReplayOrder | undefined;
  benchmark?: string | undefined;
  limit?: number | undefined;
  seeds: number;
  seed: number;
  start: string;
  warm: number;
  retrainEvery: number;
  feedback: 'bandit' | 'full' | number;
  exploration: number;
  tolerance: number;
  lambda?: number | undefined;
  window?: number | undefined;
  event: string[];
  sessions?: number | undefined;
  stickiness: Stickiness;
  cachedPrice: number;
  cascade?: string[] | undefined;
  judgeError: number;
  judgeCost: number;
  routerCost: number;
  audit: number;
  auditModel?: string | undefined;
  attemptMs: number;
  includeSeen?: boolean | undefined;
  includeReasoning?: boolean | undefined;
  replicates: number;
  out: string;
  json?: boolean | undefined;
}

export function replayCommand(): Command {
  const d = REPLAY_DEFAULTS;
  return new Command('replay')
    .description(
      'Replays recorded outcomes in order: what a router that learns as it goes would have brought and cost.',
    )
    .option('--data <dir...>', 'folders of outcomes; without it the shipped sample is replayed', collect, [])
    .option('--artifact <dir>', 'router artifact whose encoder reads the prompts (default: the shipped one)')
    .addOption(
      new Option('--order <how>', 'order of the prompts (default: time where known, else shuffle)').choices(ORDERS),
    )
    .option('--benchmark <prefix>', 'only benchmarks whose name starts with this')
    .option('--limit <count>', 'at most this many decisions', positive)
    .option('--seeds <count>', 'lives to live', positive, d.seeds)
    .option('--seed <number>', 'the first of them', natural, d.seed)
    .option('--start <how>', 'cold, artifact (its heads), or a method: ridge, knn …', d.start)
    .option('--warm <count>', 'prompts whose every outcome is known at the start', natural, d.warm)
    .option('--retrain-every <count>', 'decisions between two trainings', positive, d.retrainEvery)
    .option('--feedback <what>', 'bandit (the chosen model), full, or a share of answers', feedback, d.feedback)
    .option('--exploration <share>', 'share of decisions drawn over other models', number, d.exploration)
    .option('--tolerance <quality>', 'only models this near to the best forecast', number, d.tolerance)
    .option('--lambda <number>', 'quality that a US dollar is worth (default: between cheapest and best)', number)
    .option('--window <count>', 'decisions in a row of the table (default: a tenth)', positive)
    .option('--event <event>', 'something that happens; see below', collect, [])
    .option('--sessions <turns>', 'conversations of so many turns on average', number)
    .addOption(
      new Option('--stickiness <how>', 'in conversations: ignore the cache, price it in, keep the model')
        .choices(STICKINESS)
        .default(d.stickiness),
    )
    .option('--cached-price <share>', 'cached / input price where none is known', number, d.cachedShare)
    .option('--cascade <models>', 'two or more models, commas between, cheapest first', commas)
    .option('--judge-error <share>', 'answers the judge gets wrong', number, d.judgeError)
    .option('--judge-cost <usd>', 'one judgement', number, d.judgeUsd)
    .option('--router-cost <usd>', 'one decision of the router', number, d.routerUsd)
    .option('--audit <share>', 'share of answers checked with a dear model', number, d.auditShare)
    .option('--audit-model <model>', 'that model (default: the best single one)')
    .option('--attempt-ms <ms>', 'wait until a call is known to have failed', number, d.attemptMs)
    .option('--include-seen', 'keep prompts that the artifact has learned from')
    .option('--include-reasoning', 'keep reasoning models although their hidden tokens are unknown')
    .option('--replicates <count>', 'bootstrap resamples', positive, d.replicates)
    .option('--out <dir>', 'folder for replay.html', 'reports')
    .option('--json', 'print only JSON, and write a report only with --out')
    .addHelpText('after', HELP)
    .action(async (options: Options, command: Command) => run(options, command.getOptionValueSource('out') === 'cli'));
}

async function run(options: Options, outAsked: boolean): Promise<void> {
  const events = options.event.map(parseEvent);
  // A replay learns as it goes.
  const dirs = resolveForTraining(options.data);
  const { dataset, encoderId } = await readEvaluationData(dirs);
  const times = await readTimes(dirs.length > 0 ? dirs : [defaultReplayDir()]);
  const artifact = await loadArtifact(options.artifact);
  const source: ReplaySource = {
    hash: artifact.hash,
    encoder: artifact.encoder,
    heads: artifact.heads,
    seen: trainedOn(artifact.manifest).seen,
  };
  if (encoderId !== undefined && encoderId !== artifact.encoder.id) {
    throw new RoutingError(
      'ARTIFACT_MISMATCH',
      `the data holds embeddings of encoder ${encoderId} instead of texts, but the artifact has encoder ` +
        `${artifact.encoder.id}; replay data with texts (--data DIR)`,
    );
  }
  const folder = options.json && !outAsked ? null : reportFolder(options.out, 'replay.html');
  const progress = progressLine();
  const result = await replay(dataset, source, {
    ...options,
    events,
    times,
    cachedShare: options.cachedPrice,
    cachedShares: await cachedShares(),
    judgeUsd: options.judgeCost,
    routerUsd: options.routerCost,
    auditShare: options.audit,
    qualityPerUsd: options.lambda,
    onProgress: progress.say,
  })
    .catch((error: unknown) => {
      folder?.abandon();
      throw error;
    })
    .finally(async () => {
      progress.clear();
      await artifact.encoder.close?.();
    });
  const path = folder?.write(replayHtml(result));
  if (options.json) process.stdout.write(replayJson(result));
  else process.stdout.write(`${replayText(result)}\n\nreport with the curves: ${path}\n`);
}

/** Cached price / input price by model id, where the shipped catalog knows both. */
async function cachedShares(): Promise<Record<string, number>> {
  const shares: Record<string, number> = {};
  for (const { id, inputUsdPerMTok, cachedInputUsdPerMTok } of (await readCatalog()).models) {
    if (cachedInputUsdPerMTok !== undefined && inputUsdPerMTok > 0) {
      shares[id] = Math.min(1, cachedInputUsdPerMTok / inputUsdPerMTok);
    }
  }
  return shares;
}

function feedback(text: string): Options['feedback'] {
  if (text === 'bandit' || text === 'full') return text;
  const share = Number(text);
  if (text.trim() === '' || !(share >= 0 && share <= 1)) {
    throw new InvalidArgumentError('give bandit, full, or a share from 0 to 1.');
  }
  return share;
}

const commas = (text: string): string[] => text.split(',').map((part) => part.trim());
const collect = (value: string, previous: string[]): string[] => [...previous, value];
