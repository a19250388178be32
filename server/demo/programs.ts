/**
 * The demo's stand-ins for models: four small programs of really different skill and price. Each gets
 * the text of a prompt and nothing else, reads it and computes its answer, right or wrong.
 */
import type { Candidate } from '../../datasets/index.ts';
import { solveCode, solveComparison, solveSequence, solveStrings, solveWordProblem } from './solvers-reasoning.ts';
import {
  type Skill,
  type Solver,
  solveArithmetic,
  solveDates,
  solveExtraction,
  solveOrdering,
  solveUnits,
} from './solvers-work.ts';

/** The first that recognises a question answers it, so the more particular ones come first. */
const SOLVERS: readonly [string, Solver][] = [
  ['code', solveCode],
  ['strings', solveStrings],
  ['extraction', solveExtraction],
  ['comparison', solveComparison],
  ['word problem', solveWordProblem],
  ['dates', solveDates],
  ['sequence', solveSequence],
  ['ordering', solveOrdering],
  ['units', solveUnits],
  ['arithmetic', solveArithmetic],
];

export interface Program {
  /** Its facts in the catalog; list prices like those of hosted models of such size. */
  readonly candidate: Candidate;
  readonly about: string;
  readonly skillFor: (kind: string) => Skill;
  /** Longer working costs more tokens, as it does with models. */
  readonly working: string;
}

const CODERS_KINDS = new Set(['code', 'arithmetic', 'sequence', 'strings']);

const facts = (id: string, like: string, inputUsdPerMTok: number, outputUsdPerMTok: number): Candidate => ({
  id,
  like,
  inputUsdPerMTok,
  outputUsdPerMTok,
  contextTokens: 32_000,
  inputModalities: ['text'],
  tools: false,
  structuredOutput: false,
  reasoning: false,
  source: 'a local program of the demo',
});

/** Cheapest first. `like` is the artifact's model that it starts from, before anything is learned. */
export const PROGRAMS: readonly Program[] = [
  {
    candidate: facts('pocket/pocket', 'meta-llama/llama-3.1-8b-instruct', 0.05, 0.2),
    about: 'takes the first thing it finds',
    skillFor: () => 'lookup',
    working: '',
  },
  {
    candidate: facts('clerk/clerk', 'openai/gpt-4o-mini-2024-07-18', 0.3, 1.2),
    about: 'one step, or a rule of thumb',
    skillFor: () => 'simple',
    working: 'I took it from the question.\n',
  },
  {
    candidate: facts('coder/coder', 'openai/gpt-4o-2024-05-13', 1, 4),
    about: 'perfect at code, sums, sequences and letters; else a clerk',
    skillFor: (kind) => (CODERS_KINDS.has(kind) ? 'full' : 'simple'),
    working: 'I went through it in order and kept track of every value.\n',
  },
  {
    candidate: facts('expert/expert', 'google/gemini-3.1-pro-preview', 4, 16),
    about: 'solves every family at every level',
    skillFor: () => 'full',
    working: 'I read the question, set out what is given, worked through it step by step and checked the result.\n',
  },
];

/** What a program replies to a prompt. */
export function replyOf(program: Program, prompt: string): string {
  for (const [kind, solve] of SOLVERS) {
    const answer = solve(prompt, program.skillFor(kind));
    if (answer !== null) return `${program.working}Answer: ${answer}`;
  }
  return `${program.working}I do not know what to do with this.`;
}
