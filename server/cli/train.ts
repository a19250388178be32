/** `pointsman train`: datasets of outcomes → a router artifact. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Command } from 'commander';
import ora from 'ora';
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import { readScores } from '../../datasets/catalog/scores.ts';
import {
  type Dataset,
  isBaseModel,
  mergeDatasets,
  promptChars,
  RoutingError,
  readDataset,
  roleOf,
} from '../../datasets/index.ts';
import { resolveForTraining } from '../../datasets/sources/index.ts';
import { loadArtifact, refuseToReplace, saveArtifact } from '../../router/artifact/artifact.ts';
import type { TransformerEncoder } from '../../router/encoder/transformer/transformer.ts';
import { embed } from '../../router/estimators/index.ts';
import type { Policy } from '../../router/policy/policy.ts';
import { priorRows } from '../../router/training/prior-scores.ts';
import { train } from '../../router/training/train.ts';
import { readWordVectors, shippedVectors } from '../../router/training/word-vectors-file.ts';
import { readConfig } from '../config/index.ts';
import { encoderFolder } from '../encoder-folder.ts';
import { natural } from './numbers.ts';

/** Licences of the public sources that the shipped artifact is trained on, by folder name. */
const LICENCES: Record<string, string> = {
  'mmlu-pro': 'Apache-2.0',
  zeroeval: 'Apache-2.0',
  livecodebench: 'CC BY-SA 4.0 (outcomes), MIT (problem texts as submitted)',
  'ulab-llmrouter': 'MIT',
};

interface Options {
  data: string[];
  out: string;
  seed: number;
  encoder?: string;
  vectors?: string;
  replay?: string;
}

export function trainCommand(): Command {
  return new Command('train')
    .description('Train a router from folders of outcomes: encoder, heads, calibration and default policy.')
    .requiredOption('--data <dir...>', 'dataset folders (prompts.jsonl[.gz], outcomes.jsonl[.gz], models.json)')
    .requiredOption('--out <dir>', 'where to write the artifact')
    .option(
      '--encoder <name>',
      'frozen model to train over: transformer:FOLDER, or transformer:OWNER/NAME from the hub',
    )
    .option('--vectors <file>', 'word vectors made by train:vectors, or none (default: the shipped ones)')
    .option('--seed <n>', 'same data and seed, same bytes', natural, 1)
    .option('--replay <dir>', 'also write the report part of the first --data folder as a replay bundle without texts')
    .addHelpText(
      'after',
      `
Without --encoder one is learned from the texts, with word vectors beside it. With
--encoder, any sentence-embedding model with an ONNX file does (sentence-transformers
layout), pooled as its config says; it stays where it lies, and the artifact knows it by
the hashes of its files. Models of the hub are kept below the data directory
(.pointsman/encoders).

Every group of prompts belongs once and for all to train (72 %), certificate (8 %),
calibration (10 %) or report (10 %), by a hash of its groupId: report groups are never
looked at here.

Examples
  pointsman train --data DIR/mmlu-pro DIR/zeroeval --out my-router
  pointsman train --data DIR/zeroeval --encoder transformer:models/minilm --out my-router
  pointsman eval --data DIR/zeroeval --router my-router my-router+fit`,
    )
    .action(async (options: Options) => {
      const spinner = ora({ stream: process.stderr });
      const started = performance.now();
      try {
        refuseToReplace(resolve(options.out));
        const dirs = resolveForTraining(options.data);
        const onProgress = (step: string, share: number): void => {
          spinner.text = share > 0 ? `${step} ${Math.round(100 * share)} %` : step;
        };
        spinner.start('reading data');
        const encoder = options.encoder === undefined ? undefined : await openEncoder(options.encoder, onProgress);
        for (const assumed of encoder?.assumed ?? []) spinner.info(`${options.encoder}: ${assumed}`).start();
        const vectors = options.vectors === 'none' ? undefined : readWordVectors(options.vectors ?? shippedVectors());
        const datasets: Dataset[] = [];
        for (const dir of dirs) datasets.push(await readDataset(dir));
        const parts = await train(mergeDatasets(datasets), {
          seed: options.seed,
          created: new Date(),
          licences: LICENCES,
          encoder,
          vectors,
          onProgress,
        });
        await encoder?.close();
        // Models on sale that nobody's outcomes know yet get a row from what is published of them.
        const catalog = (await readCatalog()).models;
        const heads = priorRows(parts.heads, catalog, await readScores());
        const { hash, dir } = saveArtifact(resolve(options.out), { ...parts, heads });
        const artifact = await loadArtifact(dir);
        const seconds = ((performance.now() - started) / 1000).toFixed(0);
        spinner.succeed(`artifact ${hash} written to ${options.out} in ${seconds} s`);
        if (options.replay !== undefined) {
          const count = await writeReplay(options.replay, datasets[0]!, artifact);
          process.stderr.write(
            `replay bundle: ${count} prompts of ${datasets[0]!.name} written to ${options.replay}\n`,
          );
        }
        const m = artifact.manifest;
        const used = new Set(datasets.flatMap((d) => Object.keys(d.models)));
        const listed = new Set(catalog.map((c) => c.id));
        process.stdout.write(
          [
            `models            ${m.models.length}`,
            `encoder           ${m.encoder.id}, ${m.encoder.dimension} dimensions`,
            `trained on        ${m.metrics.trainingPrompts} prompts, settings chosen on ${m.metrics.calibrationPrompts} others`,
            `text explains     ${(m.metrics.factorR2OutOfFold as number[]).map((r) => `${(100 * r).toFixed(0)} %`).join(', ')} of the prompts' factors (out of fold)`,
            `tolerance         ${artifact.policy.tolerance} (${standingOf(artifact.policy, artifact.manifest.metrics)})`,
            ...strangers(
              m.models.filter((id) => used.has(id)),
              listed,
            ),
            `next              pointsman eval --data DIR --router ${options.out}`,
            '',
          ].join('\n'),
        );
      } catch (error) {
        spinner.stop();
        throw error;
      }
    });
}

async function openEncoder(
  named: string,
  onProgress: (step: string, share: number) => void,
): Promise<TransformerEncoder> {
  const { dataDir } = readConfig({ env: process.env });
  const folder = await encoderFolder(named, { dataDir, onProgress });
  onProgress('loading the encoder', 0);
  // Loaded late: only who trains over a transformer needs what it runs on.
  const { openTransformerEncoder } = await import('../../router/encoder/transformer/transformer.ts');
  return openTransformerEncoder(folder);
}

/** A router chooses among the models of a catalog: those of the data may be none of them. */
function strangers(modelIds: readonly string[], listed: ReadonlySet<string>): string[] {
  const missing = modelIds.filter((id) => !listed.has(id));
  if (missing.length === 0) return [];
  const some = `${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ', …' : ''}`;
  return [
    `candidates        ${missing.length} models of the data are not in the shipped catalog (${some}): to route among them, give --catalog FILE`,
  ];
}

/** What the tolerance rests on. */
function standingOf({ certificate }: Policy, metrics: Readonly<Record<string, unknown>>): string {
  if (certificate?.tolerance != null) {
    return `certified: keeps ${100 * certificate.keep} % of the best single model's quality with ${100 * (1 - certificate.delta)} % confidence, on ${certificate.groups} groups used for nothing else`;
  }
  const { perSource = [] } = (metrics.tolerance ?? {}) as { perSource?: readonly unknown[] };
  return perSource.length === 0
    ? 'not measured: it takes two models with prices and outcomes on 20 prompts of the calibration part, a tenth of the data'
    : "an estimate, not certified: keeps 98 % of the best single model's quality on the calibration part";
}

/** Embeddings, lengths and outcomes of the report part: what an evaluation needs, and no text. */
async function writeReplay(
  dir: string,
  dataset: Dataset,
  artifact: Awaited<ReturnType<typeof loadArtifact>>,
): Promise<number> {
  const prompts = dataset.prompts.filter((p) => roleOf(p.groupId) === 'report' && !p.contaminated);
  if (prompts.length === 0)
    throw new RoutingError('EMPTY_TABLE', `${dataset.name}: no prompt falls into the report part`);
  const z = await embed(artifact.encoder, prompts);
  const d = artifact.encoder.dimension;
  const kept = new Set(prompts.map((p) => p.id));
  const outcomes = dataset.outcomes.filter((o) => kept.has(o.promptId) && !isBaseModel(o.modelId));
  const used = new Set(outcomes.map((o) => o.modelId));
  mkdirSync(dir, { recursive: true });
  const write = (name: string, rows: Iterable<unknown>): void => {
    writeFileSync(join(dir, name), gzipSync(Array.from(rows, (r) => `${JSON.stringify(r)}\n`).join(''), { level: 9 }));
  };
  write(
    'prompts.jsonl.gz',
    prompts.map(({ text: _text, ...p }, i) => ({
      ...p,
      chars: promptChars(prompts[i]!),
      embedding: Array.from(z.subarray(i * d, i * d + d), (v) => Number(v.toPrecision(6))),
    })),
  );
  write('outcomes.jsonl.gz', outcomes);
  const models = Object.fromEntries(Object.entries(dataset.models).filter(([id]) => used.has(id)));
  writeFileSync(join(dir, 'models.json'), `${JSON.stringify(models, null, 1)}\n`);
  writeFileSync(join(dir, 'encoder.json'), `${JSON.stringify({ encoderId: artifact.encoder.id, dimension: d })}\n`);
  return prompts.length;
}
