/**
 * Small files in each upstream's true form, by the names that its source gives them, and what becomes of them: worked
 * by hand from what the files say.
 */
import { mmluPro } from '../../../datasets/sources/mmlu-pro.ts';
import { jsonl } from '../fixtures.ts';
import { csv, tarGz, zip } from '../formats/archives.ts';
import { writeParquet } from '../formats/write-parquet.ts';

/** `[prompt id, model id, quality, other fields]`. */
type Expected = readonly [string, string, number, object?];

export interface Upstream {
  readonly files: Record<string, string | Uint8Array>;
  readonly outcomes: readonly Expected[];
  /** Some prompts, as they should come out. */
  readonly prompts: readonly Record<string, unknown>[];
  readonly leftOut?: Record<string, number>;
}

const MIXTRAL = 'mistralai/mixtral-8x7b-instruct-v0.1';
const GPT4 = 'openai/gpt-4-1106-preview';
const ROUTELLM = 'RouteLLM-0b64fdafe049e596a3f5657c219329f24af24198/routellm/evals';

const routellm: Upstream = {
  files: {
    'RouteLLM-0b64fdafe049.tar.gz': tarGz(
      {
        'RouteLLM-0b64fdafe049e596a3f5657c219329f24af24198/README.md': '# no data',
        [`${ROUTELLM}/gsm8k/contaminated_prompts.jsonl`]: jsonl([
          { train_prompt: 'x', eval_prompt: 'How many\nducks?' },
        ]),
        [`${ROUTELLM}/gsm8k/gsm8k_responses.csv`]: csv([
          [
            'prompt',
            'mistralai/Mixtral-8x7B-Instruct-v0.1',
            'gpt-4-1106-preview',
            'mistralai/Mixtral-8x7B-Instruct-v0.1_response',
            'gpt-4-1106-preview_response',
          ],
          ['How many\nducks?', 'False', 'True', 'nine', 'It is "9", so 9'],
        ]),
        [`${ROUTELLM}/mmlu/responses/mmlu_virology.csv`]: csv([
          ['prompt', 'mistralai/Mixtral-8x7B-Instruct-v0.1', 'gpt-4-1106-preview'],
          ['Which one?\nA. this\nB. that\nAnswer:', 'True', 'True'],
        ]),
        // Before the questions, as in the archive.
        [`${ROUTELLM}/mt_bench/judgements.jsonl`]: jsonl([
          { question_id: 81, model: 'gpt-4-1106-preview', score: 10, turn: 1 },
          { question_id: 81, model: 'gpt-4-1106-preview', score: 9, turn: 2 },
          { question_id: 81, model: 'mistralai/Mixtral-8x7B-Instruct-v0.1', score: 6, turn: 1 },
          { question_id: 81, model: 'mistralai/Mixtral-8x7B-Instruct-v0.1', score: 8, turn: 2 },
        ]),
        [`${ROUTELLM}/mt_bench/question.jsonl`]: jsonl([
          { question_id: 81, category: 'writing', turns: ['Write a post about a far island.', 'Now shorter.'] },
        ]),
      },
      { comment: '0b64fdafe049e596a3f5657c219329f24af24198' },
    ),
  },
  outcomes: [
    ['routellm:gsm8k/0', MIXTRAL, 0, { outputChars: 4 }],
    ['routellm:gsm8k/0', GPT4, 1, { outputChars: 15 }],
    ['routellm:mmlu/virology/0', MIXTRAL, 1],
    ['routellm:mmlu/virology/0', GPT4, 1],
    // (10 + 9) / 2 = 9.5 of 10; (6 + 8) / 2 = 7
    ['routellm:mt_bench/81', GPT4, 0.95, { rawScore: 9.5 }],
    ['routellm:mt_bench/81', MIXTRAL, 0.7, { rawScore: 7 }],
  ],
  prompts: [
    { id: 'routellm:gsm8k/0', text: 'How many\nducks?', contaminated: true, split: 'test', benchmark: 'gsm8k' },
    { id: 'routellm:mmlu/virology/0', text: 'Which one?\nA. this\nB. that', benchmark: 'mmlu/virology' },
  ],
};

const routerbench: Upstream = {
  files: {
    'routerbench_0shot.jsonl': jsonl([
      {
        sample_id: 'mmlu-sociology.val.78',
        prompt: ['First turn', 'Second turn'],
        eval_name: 'mmlu-sociology',
        'gpt-4-1106-preview': 1.0,
        'claude-v2': 0.25,
        'gpt-4-1106-preview|model_response': 'B',
        'claude-v2|model_response': null,
        'gpt-4-1106-preview|total_cost': 0.0021,
        'claude-v2|total_cost': 0.0,
        oracle_model_to_route_to: 'gpt-4-1106-preview',
      },
    ]),
    'routerbench_part.csv': csv([
      ['sample_id', 'prompt', 'eval_name', 'mistralai/mistral-7b-chat', 'mistralai/mistral-7b-chat|total_cost'],
      ['mtbench.1', `['It\\'s a text', "with two turns"]`, 'mtbench', '0.5', '0.0001'],
      ['mtbench.2', '[1, 2] is a plain text', 'mtbench', '', ''],
      ['mtbench.3', 'another', 'mtbench', '0', '0.1'],
    ]),
    'routerbench_part.parquet': writeParquet(
      {
        sample_id: 'text',
        prompt: 'text',
        eval_name: 'text',
        'gpt-4-1106-preview': 'real',
        'gpt-4-1106-preview|total_cost': 'real',
      },
      [
        {
          sample_id: 'arc.1',
          prompt: 'Which?',
          eval_name: 'arc',
          'gpt-4-1106-preview': 1,
          'gpt-4-1106-preview|total_cost': 0.5,
        },
      ],
    ),
  },
  outcomes: [
    ['routerbench/mmlu-sociology.val.78', GPT4, 1, { costUsd: 0.0021, outputChars: 1 }],
    ['routerbench/mmlu-sociology.val.78', 'anthropic/claude-v2', 0.25],
    ['routerbench/mtbench.1', 'mistralai/mistral-7b-chat', 0.5, { costUsd: 0.0001 }],
    ['routerbench/mtbench.3', 'mistralai/mistral-7b-chat', 0, { costUsd: 0.1 }],
    ['routerbench/arc.1', GPT4, 1, { costUsd: 0.5 }],
  ],
  prompts: [
    { id: 'routerbench/mmlu-sociology.val.78', text: 'First turn\nSecond turn', benchmark: 'mmlu-sociology' },
    { id: 'routerbench/mtbench.1', text: "It's a text\nwith two turns" },
  ],
  leftOut: { 'no score': 1 },
};

const SPROUT_SCHEMA = {
  key: 'int',
  dataset: 'text',
  dataset_level: 'text',
  dataset_idx: 'int',
  prompt: 'text',
  golden_answer: 'text',
  'aws-claude-3-5-sonnet-v1': { num_input_tokens: 'int', num_output_tokens: 'int', response: 'text', score: 'real' },
  'openai-gpt-4o-mini': { num_input_tokens: 'int', num_output_tokens: 'int', response: 'text', score: 'real' },
} as const;
const sproutFile = (key: number, prompt: string, claude: number, mini: number | null) =>
  writeParquet(
    SPROUT_SCHEMA,
    [
      {
        key,
        dataset: 'openhermes/teknium',
        prompt,
        golden_answer: 'yes',
        'aws-claude-3-5-sonnet-v1': { num_input_tokens: 20, num_output_tokens: 300, response: 'yes', score: claude },
        'openai-gpt-4o-mini': { num_input_tokens: 19, num_output_tokens: 0, response: '', score: mini },
      },
    ],
    { gzip: true },
  );
const CLAUDE = 'anthropic/claude-3-5-sonnet-20240620';

const sprout: Upstream = {
  files: {
    'train-00000-of-00003.parquet': sproutFile(7, 'Name the capital of the smallest country.', 1, 0.5),
    'train-00001-of-00003.parquet': sproutFile(8, 'Prove that the sum of two even numbers is even.', 0.75, null),
    'train-00002-of-00003.parquet': sproutFile(9, 'What rhymes with orange, if anything at all does?', 0, 0),
    'validation-00000-of-00001.parquet': sproutFile(7, 'Translate "good morning" into six languages.', 1, 1),
    'test-00000-of-00001.parquet': sproutFile(1, 'List the moons of Mars by the time they need.', 1, 1),
  },
  outcomes: [
    ['sprout/train/7', CLAUDE, 1, { inputTokens: 20, outputTokens: 300 }],
    ['sprout/train/7', 'openai/gpt-4o-mini', 0.5, { inputTokens: 19 }],
    ['sprout/train/8', CLAUDE, 0.75, { inputTokens: 20, outputTokens: 300 }],
    ['sprout/train/9', CLAUDE, 0, { inputTokens: 20, outputTokens: 300 }],
    ['sprout/train/9', 'openai/gpt-4o-mini', 0, { inputTokens: 19 }],
    ['sprout/validation/7', CLAUDE, 1, { inputTokens: 20, outputTokens: 300 }],
    ['sprout/validation/7', 'openai/gpt-4o-mini', 1, { inputTokens: 19 }],
    ['sprout/test/1', CLAUDE, 1, { inputTokens: 20, outputTokens: 300 }],
    ['sprout/test/1', 'openai/gpt-4o-mini', 1, { inputTokens: 19 }],
  ],
  prompts: [
    { id: 'sprout/train/7', split: 'train', benchmark: 'openhermes/teknium' },
    { id: 'sprout/validation/7', split: 'dev', text: 'Translate "good morning" into six languages.' },
  ],
  leftOut: { 'no score': 1 },
};

const resultFile = (records: readonly object[]) => JSON.stringify({ performance: 0.5, cost: 0.2, counts: 2, records });
const llmrouterbench: Upstream = {
  files: {
    'bench-release.tar.gz': tarGz({
      'bench-release/': null,
      'bench-release/aime/hybrid/gpt-5/aime-hybrid-gpt-5-20251019_064322.json': resultFile([
        {
          index: 1,
          origin_query: 'Find n.',
          prompt: 'Q: Find n.',
          score: 1.0,
          prompt_tokens: 15,
          completion_tokens: 5,
          cost: 0.0001,
        },
        {
          index: 2,
          origin_query: 'Find m.',
          prompt: 'Q: Find m.',
          score: 1.5,
          prompt_tokens: 15,
          completion_tokens: 5,
          cost: 0.0002,
        },
      ]),
      'bench-release/aime/hybrid/gpt-5/aime-hybrid-gpt-5-20251020_000000.json': resultFile([
        { index: 1, origin_query: 'Find n.', prompt: 'Q: Find n.', score: 0.0, cost: 0.3 },
      ]),
      'bench-release/aime/hybrid/Qwen3-8B/r.json': resultFile([
        { index: 1, origin_query: 'Find n.', score: false, prompt_tokens: 12, completion_tokens: 900, cost: 0 },
        { index: 2, origin_query: 'Find another m.', score: true, cost: 0 },
        { index: 3, origin_query: '', prompt: '', score: 1, cost: 0 },
      ]),
      'bench-release/aime/notes.txt': 'no result',
    }),
  },
  outcomes: [
    ['llmrouterbench/aime/hybrid/1', 'openai/gpt-5', 1, { inputTokens: 15, outputTokens: 5, costUsd: 0.0001 }],
    // 1.5 is no share: it becomes 1 and is kept beside.
    [
      'llmrouterbench/aime/hybrid/2',
      'openai/gpt-5',
      1,
      { inputTokens: 15, outputTokens: 5, costUsd: 0.0002, rawScore: 1.5 },
    ],
    ['llmrouterbench/aime/hybrid/1', 'qwen/qwen3-8b', 0, { inputTokens: 12, outputTokens: 900 }],
  ],
  prompts: [{ id: 'llmrouterbench/aime/hybrid/1', text: 'Find n.', benchmark: 'aime' }],
  leftOut: { 'a second answer of the same model': 1, 'another text under the same id': 1, 'no question': 1 },
};

const EMBEDLLM = ['prompt_id', 'model_id', 'category_id', 'label', 'prompt', 'model_name', 'category'];
const embedllm: Upstream = {
  files: {
    'train.csv': csv([
      EMBEDLLM,
      ['5', '0', '3', '1', 'Is water wet, "really"?', 'deepseek-ai__deepseek-llm-67b-chat', 'mmlu'],
      ['5', '1', '3', '0', 'Is water wet, "really"?', 'meta-llama__LlamaGuard-7b', 'mmlu'],
    ]),
    'val.csv': csv([
      EMBEDLLM,
      ['6', '0', '4', '0.0', 'What is 17 plus 4 in base 6?', 'deepseek-ai__deepseek-llm-67b-chat', 'gsm8k'],
    ]),
    'test.csv': csv([
      EMBEDLLM,
      ['7', '0', '4', '1', 'Who wrote the second book of that series?', 'meta-llama__LlamaGuard-7b', 'gsm8k'],
    ]),
  },
  outcomes: [
    ['embedllm/5', 'deepseek/deepseek-llm-67b-chat', 1],
    ['embedllm/5', 'meta-llama/llamaguard-7b', 0],
    ['embedllm/6', 'deepseek/deepseek-llm-67b-chat', 0],
    ['embedllm/7', 'meta-llama/llamaguard-7b', 1],
  ],
  prompts: [
    { id: 'embedllm/5', text: 'Is water wet, "really"?', benchmark: 'mmlu', split: 'train' },
    { id: 'embedllm/6', split: 'dev' },
    { id: 'embedllm/7', split: 'test' },
  ],
};

const question = (id: number, more: object) => ({
  question_id: id,
  question: `Question number ${id}: which of these rivers is the longest?`,
  options: ['Rhine', 'Loire', 'N/A'],
  answer: 'B',
  answer_index: 1,
  category: 'computer science',
  pred: 'A',
  ...more,
});
const empty = '[]';
const mmlu: Upstream = {
  files: Object.fromEntries(
    mmluPro.files.map(({ name }) => {
      if (name === 'model_outputs_Llama-2-7b-hf_5shots.zip') {
        const rows = [
          question(1, { model_outputs: 'First (A), then: the answer is (B).' }),
          question(2, { model_outputs: ['Answer: A'] }),
        ];
        return [name, zip({ 'model_outputs/results.json': JSON.stringify(rows), '__MACOSX/._results.json': 'x' })];
      }
      if (name === 'deepseek_computer_science_result.json') {
        const rows = [
          question(1, { response: 'Not A. It must be B then' }),
          question(2, { response: 'The answer is (A)', answer: 'A' }),
          question(3, { response: 'no letter at all', question: 'Yet another question, about lakes this time?' }),
        ];
        return [name, JSON.stringify(rows)];
      }
      return [name, name.endsWith('.zip') ? zip({ 'results.json': empty }) : empty];
    }),
  ),
  outcomes: [
    ['mmlu-pro/1', 'meta-llama/llama-2-7b-base', 1, { outputChars: 35 }],
    ['mmlu-pro/2', 'meta-llama/llama-2-7b-base', 0, { outputChars: 9 }],
    ['mmlu-pro/1', 'deepseek/deepseek-v2-chat-2024-05', 1, { outputChars: 24 }],
    ['mmlu-pro/3', 'deepseek/deepseek-v2-chat-2024-05', 0, { outputChars: 16 }],
  ],
  prompts: [
    {
      id: 'mmlu-pro/1',
      benchmark: 'mmlu-pro/computer-science',
      text: 'Question number 1: which of these rivers is the longest?\nA. Rhine\nB. Loire\nC. N/A',
    },
  ],
  leftOut: { 'another key under the same id': 1 },
};

const run = (id: string, question: string, answer: string, output: string) => ({
  session_id: id,
  chat_history: [`## Question: ${question}`],
  output: [output],
  generator: 'x',
  id,
  question,
  answer,
  source: 'openai/gsm8k',
});
const ZEROEVAL = 'ZeroEval-8c1485edf12c6efb5f69135a562927c5ad484059/result_dirs';
const zeroeval: Upstream = {
  files: {
    'ZeroEval-8c1485edf12c.tar.gz': tarGz({
      [`${ZEROEVAL}/gsm.summary.json`]: '[{"Model": "x"}]',
      [`${ZEROEVAL}/gsm/Llama-3.1-405B-Inst@sambanova.json`]: JSON.stringify([
        run(
          'gsm8k-main-test-#0',
          'How many eggs are left over?',
          '# 18',
          'Sure: {"reasoning": "9 * 2",\n "answer": "$18"}',
        ),
        run(
          'gsm8k-main-test-#1',
          'How many bolts does it take?',
          '# 0.75',
          '{"reasoning": "x", "answer": "3/4 of a bolt"}',
        ),
        run('gsm8k-main-test-#2', 'How much profit was made in all?', '# 70000', '"answer": 70,000'),
      ]),
      [`${ZEROEVAL}/crux/gemma-2-2b-it.json`]: JSON.stringify([
        run('crux-test-#3', 'assert f("bcksrut", "q") == ??', "'bcksrutq'", '{"answer": "bcksrutq"}'),
        run('crux-test-#4', 'assert f([1, 3]) == ??', '[(4, 1)]', '{"answer": [[4, 1]]}'),
        run('crux-test-#5', 'assert f({}) == ??', "[1, 'a', True]", '{"answer": [1, "a", true]}'),
      ]),
      [`${ZEROEVAL}/alpaca_eval/greedy/x.json`]: '[{"other": 1}]',
    }),
  },
  outcomes: [
    ['zeroeval/gsm8k/0', 'meta-llama/llama-3.1-405b-instruct', 1, { outputChars: 46 }],
    // The first number of "3/4 of a bolt" is 3: no fraction as a whole.
    ['zeroeval/gsm8k/1', 'meta-llama/llama-3.1-405b-instruct', 0, { outputChars: 45 }],
    // Without quotes an answer ends at the comma: 70.
    ['zeroeval/gsm8k/2', 'meta-llama/llama-3.1-405b-instruct', 0, { outputChars: 16 }],
    ['zeroeval/cruxeval-o/3', 'google/gemma-2-2b-it', 1, { outputChars: 22 }],
    ['zeroeval/cruxeval-o/4', 'google/gemma-2-2b-it', 0, { outputChars: 20 }],
    ['zeroeval/cruxeval-o/5', 'google/gemma-2-2b-it', 1, { outputChars: 26 }],
  ],
  prompts: [{ id: 'zeroeval/gsm8k/0', text: 'How many eggs are left over?', benchmark: 'gsm8k' }],
};

const performance = (question_id: string, model: string, percent: number) => ({
  question_id,
  model,
  date: 1692662400000,
  difficulty: 'easy',
  'pass@1': percent,
  platform: 'codeforces',
});
const model = (model_name: string, model_repr: string, model_style: string) => ({
  model_name,
  model_repr,
  model_style,
  release_date: 0,
  link: 'x',
});
const site = (performances: readonly object[], models: readonly object[]) =>
  JSON.stringify({ performances, models, date_marks: [1682899200000] }, null, 4);
const livecodebench: Upstream = {
  files: {
    'performances_2025-01-15.json': site(
      [
        performance('1873_A', 'DeepSeek-V3', 90),
        performance('1873_A', 'O1-2024-12-17 (N=1) (Low)', 100),
        performance('9', 'DeepSeek-V3', 0),
      ],
      [
        model('deepseek-chat', 'DeepSeek-V3', 'DeepSeekAPI'),
        model('o1-2024-12-17__low', 'O1-2024-12-17 (N=1) (Low)', 'OpenAIReason'),
      ],
    ),
    'performances_2025-04-22.json': site(
      [performance('1873_A', 'DeepSeek-V3', 80), performance('2727', 'DeepSeek-V3', 60)],
      [model('deepseek-chat', 'DeepSeek-V3', 'DeepSeekAPI')],
    ),
    'performances_2024-04-17.json': site(
      [performance('2727', 'DSCoder-33b-Base', 10)],
      [model('deepseek-ai/deepseek-coder-33b-base', 'DSCoder-33b-Base', 'DeepSeekBase')],
    ),
    'submissions-4d04b02a01c8.tar.gz': tarGz({
      'submissions-4d04/README.md': 'how to submit',
      'submissions-4d04/OpenAI-O1/Scenario.codegeneration.json': JSON.stringify([
        {
          question_id: '1873_A',
          question_content: 'Three cards.\n',
          starter_code: '',
          output_list: ['print(1)'],
          platform: 'codeforces',
        },
        {
          question_id: '2727',
          question_content: 'Is the object empty?',
          starter_code: 'class Solution:\n    ',
          code_list: [],
        },
      ]),
    }),
  },
  outcomes: [
    ['livecodebench/1873_A', 'deepseek/deepseek-v3-1226', 0.9],
    ['livecodebench/1873_A', 'openai/o1-2024-12-17-low', 1],
    ['livecodebench/2727', 'deepseek/deepseek-v3-1226', 0.6],
    ['livecodebench/2727', 'deepseek/deepseek-coder-33b-base', 0.1],
  ],
  prompts: [
    { id: 'livecodebench/1873_A', text: 'Three cards.', benchmark: 'livecodebench/codeforces-easy' },
    { id: 'livecodebench/2727', text: 'Is the object empty?\n\nStarter code:\nclass Solution:' },
  ],
  leftOut: { 'no submission has the problem’s statement': 1, 'a second answer of the same model': 1 },
};

const cached = (global_index: string, more: object) => ({
  global_index,
  question: `Please answer within 3 sentences: ${global_index}, what about it?`,
  llm_selected: 'claude-3-haiku-20240307',
  generated_answer: '\\boxed{D}',
  token_usage: { input_tokens: 123, output_tokens: 60, total_tokens: 183 },
  success: true,
  provider: 'anthropic',
  error: null,
  evaluation_result: {
    extracted_answer: 'D',
    ground_truth: 'D',
    score: 1.0,
    metric: 'mcq_accuracy',
    inference_cost: 0.0001,
  },
  ...more,
});
const routerarena: Upstream = {
  files: {
    'RouterArena-main.tar.gz': tarGz(
      {
        'RouterArena-main/cached_results/claude-3-haiku-20240307.jsonl': jsonl([
          cached('ArcMMLU_659', {}),
          cached('AIME_112', { evaluation_result: null }),
          cached('AIME_113', { success: false }),
        ]),
        'RouterArena-main/cached_results/Qwen_Qwen3-Coder-Next.jsonl': jsonl([
          cached('ArcMMLU_659', {
            llm_selected: 'Qwen/Qwen3-Coder-Next',
            evaluation_result: { score: 0 },
            token_usage: null,
          }),
        ]),
        'RouterArena-main/router_inference/predictions/x.json': '[]',
      },
      { comment: '4714a9a0000000000000000000000000000000ab' },
    ),
  },
  outcomes: [
    [
      'routerarena/ArcMMLU_659',
      'anthropic/claude-3-haiku-20240307',
      1,
      { inputTokens: 123, outputTokens: 60, costUsd: 0.0001, outputChars: 9 },
    ],
    ['routerarena/ArcMMLU_659', 'qwen/qwen3-coder-next', 0, { outputChars: 9 }],
  ],
  prompts: [{ id: 'routerarena/ArcMMLU_659', benchmark: 'ArcMMLU', split: 'test' }],
  leftOut: { 'not judged': 1, 'the call failed': 1 },
};

export const UPSTREAM: Record<string, Upstream> = {
  routellm,
  routerbench,
  sprout,
  llmrouterbench,
  embedllm,
  'mmlu-pro': mmlu,
  zeroeval,
  livecodebench,
  routerarena,
};
