/** `pointsman eval --from-log`: what other policies would have reached on decisions that were logged and judged. */
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { RoutingError, readNumberedJsonl } from '../../datasets/index.ts';
import { always, asLogged, judgeLog, type LoggedPolicy, uniform } from '../../eval/ope/judge.ts';
import { checkLoggedRow, LoggedRow } from '../../eval/ope/logged-row.ts';
import { type LogReport, logHtml, logJson, logText } from '../../eval/report/log-report.ts';
import { type Artifact, defaultArtifactDir, loadArtifact } from '../../router/artifact/artifact.ts';
import { predictHeads } from '../../router/heads/heads.ts';
import { type CandidatePrediction, decide } from '../../router/policy/decide.ts';
import { type Knobs, withOverrides } from '../../router/policy/policy.ts';
import { oddsOf } from '../../router/policy/rule.ts';
import { meanQualities, place } from '../../router/policy/solve.ts';
import { type GatewayConfig, readConfig } from '../config/index.ts';
import { lockOwner } from '../db/lock.ts';
import { openStore } from '../db/store.ts';
import { encoderFolder } from '../encoder-folder.ts';
import { WHY_LEFT_OUT } from '../learning/learnable.ts';
import { embeddingsOf, type Log, type RankedSample, type Sample } from '../learning/log.ts';
import { askedLog } from '../learning/log-client.ts';
import { type InForce, type LogSource, storedLog } from '../learning/log-stream.ts';
import { folderLog } from '../log-folder/read.ts';
import { reportFolder } from './report-folder.ts';

export interface EvalLogOptions {
  /** NDJSON of {@link LoggedRow}, `.gz` too, or the folder of an exported log; without it the log of a gateway is read. */
  readonly file?: string;
  readonly dataDir?: string;
  readonly databaseUrl?: string;
  /** Folder for log-report.html. Default: `reports`; with `json` none. */
  readonly out?: string;
  readonly json?: boolean;
  /** Routers to judge, of a gateway's log: `in-force`, `default` (the shipped one) or an artifact folder. Default: `in-force`. */
  readonly router?: string[];
  readonly replicates: number;
  readonly seed: number;
  readonly config?: string;
}

/** Tolerances at which a router's greedy choice is judged. */
const TOLERANCES = [0, 0.02, 0.05, 0.1];
const FILE_NAME = 'log-report.html';

/**
 * Reads a log, judges other policies on it and prints the table, or JSON.
 * @throws `EMPTY_TABLE` where nothing was judged, `UNDEFINED_METRIC` where propensities are no propensities,
 *         `DATABASE_LOCKED` while a process that answers no requests has the embedded database open, `MISSING_FILE`, `INVALID_ROW`, `DUPLICATE_ROW`, …
 */
export async function runEvalLog(options: EvalLogOptions): Promise<void> {
  const { out, json = false, replicates, seed } = options;
  const folder = json && out === undefined ? null : reportFolder(out ?? 'reports', FILE_NAME);
  try {
    const { source, rows, policies, leftOut, refused } =
      options.file === undefined || isFolder(options.file)
        ? await readGateway(options)
        : await readRows(options.file, options.router ?? []);
    const judged = judgeLog(rows, [asLogged, ...singles(rows), uniform, ...policies], {
      replicates,
      seed,
      keepGoing: true,
    });
    const judgement = { ...judged, refused: [...judged.refused, ...refused] };
    const report: LogReport = { source, judgement, leftOut };
    const text = json ? logJson(report) : logText(report);
    const path = folder?.write(logHtml(report));
    process.stdout.write(json ? text : `${text}\nreport with every estimator: ${path}\n`);
  } catch (error) {
    folder?.abandon();
    throw error;
  }
}

interface Source {
  readonly source: string;
  readonly rows: readonly LoggedRow[];
  readonly policies: readonly LoggedPolicy[];
  readonly leftOut: readonly string[];
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
}

/** "Always this model", for those that could be drawn on every row. */
function singles(rows: readonly LoggedRow[]): LoggedPolicy[] {
  const counts = new Map<string, number>();
  for (const { distribution } of rows) {
    for (const model of Object.keys(distribution)) counts.set(model, (counts.get(model) ?? 0) + 1);
  }
  return [...counts]
    .flatMap(([model, count]) => (count === rows.length ? [model] : []))
    .sort()
    .map(always);
}

async function readRows(file: string, routers: readonly string[]): Promise<Source> {
  if (routers.length > 0) {
    throw new RoutingError(
      'INVALID_CONFIG',
      '--router needs the log of a gateway, which holds embeddings; of a file the rows’ own predictions and costs are judged',
    );
  }
  const rows: LoggedRow[] = [];
  const ids = new Map<string, number>();
  for await (const { row, line } of readNumberedJsonl(file, LoggedRow)) {
    const where = `${file}:${line}`;
    checkLoggedRow(row, where);
    const before = ids.get(row.id);
    if (before !== undefined) {
      throw new RoutingError(
        'DUPLICATE_ROW',
        `${where}: field id: ${row.id} stands in line ${before} already; keep one`,
      );
    }
    ids.set(row.id, line);
    rows.push(row);
  }
  if (rows.length === 0) {
    throw new RoutingError('EMPTY_TABLE', `${file}: no row in it; give one line for each judged decision`);
  }
  const untold = rows.find((row) => !Object.keys(row.distribution).every((m) => hasForecast(row, m)));
  return {
    source: file,
    rows,
    leftOut: [],
    policies: untold === undefined ? TOLERANCES.map(byForecasts) : [],
    refused:
      untold === undefined
        ? []
        : [
            {
              name: 'own forecasts',
              reason: `the cheapest model within a tolerance: row ${untold.id} has no predictions and costs for every model it could draw`,
            },
          ],
  };
}

const hasForecast = ({ predictions, costs }: LoggedRow, model: string): boolean =>
  predictions?.[model] !== undefined && costs?.[model] !== undefined;

/** The decision rule on the forecasts that the row itself holds. */
const byForecasts = (tolerance: number): LoggedPolicy => ({
  name: `own forecasts at tolerance ${tolerance}`,
  probabilities: ({ distribution, predictions, costs }) => {
    const models = Object.keys(distribution);
    const quality = models.map((model) => predictions![model]!);
    const costUsd = models.map((model) => costs![model]!);
    const rule = { tolerance, minQuality: 0, qualityPerUsd: null, exploration: 0 };
    const { probabilities } = oddsOf(quality, costUsd, rule);
    return Object.fromEntries(models.map((model, j) => [model, probabilities[j]!]));
  },
});

async function readGateway(options: EvalLogOptions): Promise<Source> {
  const { config: file, dataDir, databaseUrl, router } = options;
  const config = readConfig({ file, env: process.env, overrides: { dataDir, databaseUrl } });
  const where = options.file ?? (config.databaseUrl === undefined ? config.dataDir : 'the database');
  const { models: candidates } = await readCatalog(config.catalog);
  const gateway = options.file === undefined ? await openLog(config) : exportedLog(options.file, config);
  try {
    const routers = await openRouters(await gateway.inForce(), config, router ?? ['in-force']);
    const log = await gateway.read(routers.encoderId);
    // A gateway of an earlier version sends what only a hint speaks of, too.
    const judged = log.samples.filter(({ kind }) => kind === 'verdict');
    const whole = judged.filter(isWhole);
    const samples = whole.filter(({ facts }) => !facts.critical);
    const leftOut = leftOutLines(log, {
      damaged: judged.length - whole.length,
      critical: whole.length - samples.length,
    });
    if (samples.length === 0) {
      const why = leftOut.length === 0 ? '' : ` (${leftOut.join('; ')})`;
      throw new RoutingError(
        'EMPTY_TABLE',
        `${where}: no routed decision there has been judged${why}; say how good answers were with ` +
          'POST /v1/feedback {"decisionId": …, "score": 0 … 1, "source": …}, then run this again',
      );
    }
    const policies = routers.opened.flatMap((opened) => greedyPolicies(opened, samples, candidates, config.policy));
    return {
      source: `the log of ${where}`,
      rows: samples.map(loggedRow),
      leftOut,
      policies,
      refused: routers.refused,
    };
  } finally {
    await gateway.close();
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Which router was in force is not in it: that is the configured one here. */
function exportedLog(dir: string, { artifact, learning }: GatewayConfig): OpenedLog {
  const log = folderLog(dir);
  const artifactDir = resolve(artifact ?? defaultArtifactDir());
  return {
    inForce: async () => ({ promoted: null, artifactDir, trainedThrough: null }),
    read: (encoderId) => log.read(encoderId, learning.maxSamples),
    close: async () => {},
  };
}

type OpenedLog = LogSource & { close(): Promise<void> };

/** One process owns an embedded database: where a gateway has it open, that is asked. */
async function openLog(config: GatewayConfig): Promise<OpenedLog> {
  const { dataDir, databaseUrl, artifact: baseDir, learning } = config;
  const owner = databaseUrl === undefined ? lockOwner(dataDir) : null;
  if (owner !== null) return { ...askedLog(owner, dataDir), close: async () => {} };
  if (databaseUrl === undefined) refuseNewFolder(dataDir);
  const store = await openStore(config);
  return { ...storedLog({ store, dataDir, baseDir, learning }), close: () => store.close() };
}

/** A folder without a database would get one by opening it. */
function refuseNewFolder(dataDir: string): void {
  if (existsSync(join(dataDir, 'db'))) return;
  throw new RoutingError(
    'MISSING_FILE',
    `${resolve(dataDir)}: no gateway has logged anything there; name the gateway's own folder with --data-dir ` +
      '(default: .pointsman in the folder that the gateway is started from), or a file: --from-log FILE',
  );
}

interface OpenedRouter {
  readonly name: string;
  readonly artifact: Artifact;
  /** True for samples that went into it. */
  readonly learnedFrom: (sample: Sample) => boolean;
}

async function openRouters(
  { promoted, artifactDir, trainedThrough }: InForce,
  config: GatewayConfig,
  names: readonly string[],
): Promise<{ encoderId: string; opened: OpenedRouter[]; refused: { name: string; reason: string }[] }> {
  const encoderDir = config.encoder === undefined ? undefined : await encoderFolder(config.encoder, config);
  const inForce = await loadArtifact(artifactDir, { encoderDir });
  const opened: OpenedRouter[] = [];
  const refused: { name: string; reason: string }[] = [];
  for (const name of names) {
    const isInForce = name === 'in-force';
    const artifact = isInForce
      ? inForce
      : await loadArtifact(name === 'default' ? defaultArtifactDir() : name, { encoderDir });
    if (artifact.encoder.id !== inForce.encoder.id) {
      refused.push({ name, reason: `${name}: the log holds embeddings of another encoder` });
      continue;
    }
    const fromLogs = artifact.manifest.training.data.some((data) => data.name === 'log');
    opened.push({
      name,
      artifact,
      // Of a router that learned from logs, but is not the promoted one, nobody knows from which rows.
      learnedFrom: !fromLogs
        ? () => false
        : artifact.hash === promoted && trainedThrough !== null
          ? ({ firstLabelledAt }) => firstLabelledAt <= trainedThrough
          : () => true,
    });
  }
  return { encoderId: inForce.encoder.id, opened, refused };
}

/** The router's choice at each tolerance, nothing explored, among the candidates that were eligible then, at today's prices. */
function greedyPolicies(
  { name, artifact, learnedFrom }: OpenedRouter,
  samples: readonly Sample[],
  candidates: readonly Candidate[],
  overrides: Partial<Knobs>,
): LoggedPolicy[] {
  const { heads } = artifact;
  const m = heads.modelIds.length;
  const out = predictHeads(heads, embeddingsOf(samples), samples.length);
  const means = meanQualities(heads);
  const placed = new Map(place(heads, candidates).map((p) => [p.candidate.id, p] as const));
  const at = new Map(samples.map(({ id }, i) => [id, i]));
  const predictionsOf = (i: number): CandidatePrediction[] =>
    samples[i]!.distribution.flatMap(({ model }) => {
      const known = placed.get(model);
      if (known === undefined) return [];
      const j = heads.modelIds.indexOf(known.like);
      return [
        {
          ...known,
          quality: out.quality[i * m + j]!,
          qualitySd: out.qualitySd[i * m + j]!,
          meanQuality: means[j]!,
          outputTokens: out.outputTokens[i * m + j]!,
        },
      ];
    });
  return TOLERANCES.map((tolerance) => {
    const policy = withOverrides(artifact.policy, { ...withoutTradeOff(overrides), tolerance, exploration: 0 });
    return {
      name: `${name} at tolerance ${tolerance}`,
      learnedFrom: ({ id }) => learnedFrom(samples[at.get(id)!]!),
      probabilities: ({ id }) => {
        const i = at.get(id)!;
        const predictions = predictionsOf(i);
        if (predictions.length === 0) {
          throw new RoutingError(
            'UNDEFINED_METRIC',
            `${name}: on row ${id} it knows none of the models that could be drawn; give the catalog that was used then`,
          );
        }
        const { ranked, distribution } = decide(predictions, samples[i]!.facts, policy, out.outOfDomain[i]!, 0);
        return Object.fromEntries(ranked.map(({ model }, k) => [model, distribution[k]!]));
      },
    };
  });
}

/** The tolerance under judgement takes the place of what the operator set. */
const withoutTradeOff = ({ dial, target, budget, ...rest }: Partial<Knobs>): Partial<Knobs> => rest;

function loggedRow(sample: RankedSample): LoggedRow {
  const { id, group, sampled, executed, propensity, distribution, quality, costUsd, ranked } = sample;
  return {
    id,
    sampled,
    executed,
    propensity,
    quality,
    costUsd,
    ...(group !== id && { session: group }),
    distribution: Object.fromEntries(distribution.map(({ model, probability }) => [model, probability])),
    predictions: Object.fromEntries(ranked.map(({ model, quality: q }) => [model, q])),
    costs: Object.fromEntries(ranked.map(({ model, costUsd: usd }) => [model, usd])),
  };
}

/**
 * Whether the candidates could be read: of those that the database holds damaged the probabilities are missing, or what
 * was forecast.
 */
const isWhole = ({ distribution, ranked }: RankedSample): boolean => {
  const forecast = new Set(ranked.map(({ model }) => model));
  return distribution.length > 0 && distribution.every(({ model }) => forecast.has(model));
};

function leftOutLines(
  { leftOut, limited }: Log,
  { damaged, critical }: { readonly damaged: number; readonly critical: number },
): string[] {
  const reasons = (Object.keys(leftOut) as (keyof typeof leftOut)[])
    .filter((why) => leftOut[why] > 0)
    .map((why) => `${leftOut[why]} left out: ${WHY_LEFT_OUT[why]}`);
  return [
    ...reasons,
    ...(damaged > 0
      ? [
          `${damaged} left out: the candidates on record cannot be read, so that nobody knows what else could have been drawn`,
        ]
      : []),
    ...(critical > 0 ? [`${critical} left out: marked critical, so that nothing was left to chance`] : []),
    ...(limited ? ['only the newest judged decisions were read'] : []),
  ];
}
