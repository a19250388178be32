/**
 * RouterArena: answers that routers of the arena bought, question by question. For evaluation only.
 *
 * Verified on stored copies of the repository: `cached_results/<model>.jsonl` with `global_index`, `question`,
 * `llm_selected`, `token_usage`, `success` and `evaluation_result` (`score`, `inference_cost`, or null where the answer
 * was not judged). Not verified: a revision (the archive of the main branch says which commit it is; that is written
 * down), and for how many of its questions the repository holds judged answers.
 */
import { z } from 'zod';
import { jsonLines } from '../formats/json-lines.ts';
import { tarMembers } from '../formats/tar.ts';
import { listPrice } from './list-prices.ts';
import { modelIdOf } from './model-id.ts';
import { checked, clipped, gitArchive, recorded, type Source } from './source.ts';

const ARCHIVE = gitArchive('RouteWorks/RouterArena', null);

const Row = z.object({
  global_index: z.string().min(1),
  question: z.string().min(1),
  llm_selected: z.string().min(1),
  success: z.boolean().nullish(),
  generated_answer: z.string().nullish(),
  token_usage: z.looseObject({ input_tokens: z.number().nullish(), output_tokens: z.number().nullish() }).nullish(),
  evaluation_result: z.looseObject({ score: z.number().nullish(), inference_cost: z.number().nullish() }).nullish(),
});

export const routerarena: Source = {
  name: 'routerarena',
  holds: 'judged answers of some ten models to questions of RouterArena: evaluation only',
  notes: [
    'Quality is the arena’s own score of the answer; tokens and costs are as recorded.',
    'Not every model was asked every question, and answers that nobody judged are left out: compare where both have outcomes.',
    'text is the question as it was sent, with its instruction.',
  ],
  homepage: 'https://github.com/RouteWorks/RouterArena',
  licence: 'Apache-2.0 as the data set’s card says; evaluation only by the arena’s rule',
  citation:
    'Lu et al., "RouterArena: An Open Platform for Comprehensive Comparison of LLM Routers", 2025, arXiv:2510.00202',
  revision: null,
  evaluationOnly:
    'RouterArena is an evaluation-only dataset: its rules reject routers of which any part was trained, fitted or tuned on it, labels included',
  models: 10,
  prompts: 8_400,
  size: null,
  files: [ARCHIVE],
  row: Row,
  async *rows({ path, leaveOut, revision }) {
    const file = path(ARCHIVE.name);
    for await (const { name, bytes } of tarMembers(file, revision)) {
      if (!/^[^/]+\/cached_results\/[^/]+\.jsonl$/.test(name)) continue;
      const label = `${file}!${name}`;
      for await (const { value, row } of jsonLines(label, bytes)) {
        const { global_index, question, llm_selected, success, generated_answer, token_usage, evaluation_result } =
          checked(Row, value, label, row);
        const score = evaluation_result?.score;
        if (success === false) leaveOut('the call failed');
        else if (score == null) leaveOut('not judged');
        else {
          const modelId = modelIdOf(llm_selected);
          yield {
            prompt: {
              id: `routerarena/${global_index}`,
              source: 'routerarena',
              benchmark: global_index.replace(/_\d+$/, ''),
              text: question,
              split: 'test',
            },
            answers: [
              {
                modelId,
                info: { sourceName: llm_selected, ...listPrice(modelId) },
                ...clipped(score),
                ...recorded('inputTokens', token_usage?.input_tokens),
                ...recorded('outputTokens', token_usage?.output_tokens),
                ...recorded('costUsd', evaluation_result?.inference_cost),
                ...(generated_answer != null && { outputChars: generated_answer.length }),
              },
            ],
          };
        }
      }
    }
  },
};
