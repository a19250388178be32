/** `pointsman vectors`: plain texts → word vectors for the encoder that `train` learns. */
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import ora from 'ora';
import { type Prompt, RoutingError, readDataset, roleOf } from '../../datasets/index.ts';
import { beginsLike, checkTextFiles, readTexts } from '../../router/training/read-texts.ts';
import { trainWordVectors } from '../../router/training/word-vectors.ts';
import { writeWordVectors } from '../../router/training/word-vectors-file.ts';
import { wholeNumber } from './numbers.ts';

export function vectorsCommand(): Command {
  return new Command('vectors')
    .description('Learn word vectors from plain texts, without labels: they tell the encoder which words are alike.')
    .requiredOption('--text <file...>', 'texts: .jsonl[.gz] of strings or of objects with a "text", .txt a text a line')
    .requiredOption('--out <file>', 'where to write the vectors')
    .option(
      '--without <dir...>',
      'dataset folders: texts that begin like a prompt not of their training part are left out',
    )
    .option('--dimension <n>', 'length of a vector', wholeNumber(1, 1024), 64)
    .option('--words <n>', 'most words kept, the most frequent', wholeNumber(2, 65_535), 32_000)
    .option('--min-count <n>', 'fewest times that a kept word occurs', wholeNumber(1, 1_000_000), 10)
    .option('--seed <n>', 'same texts and seed, same bytes', wholeNumber(0, 2 ** 32 - 1), 1)
    .addHelpText(
      'after',
      `
Texts like the prompts to be routed serve best: questions, answers, manuals, code. Some
ten million words are a good start and take half a minute. Their licence must allow
passing on what was learned from them.

Of questions that are kept for a test not even the words should be known: name their
folders with --without.

Examples
  pointsman vectors --text answers.jsonl.gz --out vectors.bin
  pointsman vectors --text answers.jsonl.gz --without DIR/mmlu-pro --out vectors.bin
  pointsman train --data DIR --vectors vectors.bin --out my-router`,
    )
    .action(
      async (options: {
        text: string[];
        out: string;
        without?: string[];
        dimension: number;
        words: number;
        minCount: number;
        seed: number;
      }) => {
        const spinner = ora({ stream: process.stderr });
        const started = performance.now();
        try {
          const out = resolve(options.out);
          if (existsSync(out) && statSync(out).isDirectory()) {
            throw new RoutingError('INVALID_CONFIG', `${options.out}: is a folder; give a file to write to`);
          }
          checkTextFiles(options.text);
          spinner.start('reading texts');
          const isHeldOut = beginsLike(await heldOut(options.without ?? []));
          const texts = async function* (): AsyncGenerator<string> {
            for await (const text of readTexts(options.text)) if (!isHeldOut(text)) yield text;
          };
          const vectors = await trainWordVectors(texts, {
            seed: options.seed,
            dimension: options.dimension,
            maxWords: options.words,
            minCount: options.minCount,
            onProgress: (step, done) => {
              if (step === 'factorising') spinner.text = `${step} ${Math.round(100 * done)} %`;
              else if (done % 1000 === 0) spinner.text = `${step}: ${done} texts`;
            },
          });
          writeWordVectors(out, vectors);
          const seconds = ((performance.now() - started) / 1000).toFixed(0);
          const mb = (statSync(out).size / 1e6).toFixed(2);
          spinner.succeed(`${vectors.hashes.length} words written to ${options.out} in ${seconds} s, ${mb} MB`);
        } catch (error) {
          spinner.stop();
          throw error;
        }
      },
    );
}

/** Prompts that a router trained on these folders is chosen, proved and reported on. */
async function heldOut(dirs: readonly string[]): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  for (const dir of dirs) prompts.push(...(await readDataset(dir)).prompts);
  return prompts.filter((p) => roleOf(p.groupId) !== 'train');
}
