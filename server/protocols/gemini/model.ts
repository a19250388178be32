/** What a Gemini model's name tells about the requests it takes, and how a wish for reasoning is put to it. */
import type { Effort, Reasoning } from '../conversation.ts';

export interface GeminiModel {
  /** Without `models/` and the like, in lower case. */
  readonly name: string;
  /** 2.5, 3, 3.1 …; names without a number (`gemini-flash-latest`) mean the newest. */
  readonly generation: number;
  /** Open models behind the same API: no system instruction. */
  readonly gemma: boolean;
}

export function geminiModel(model: string): GeminiModel {
  const name = model.slice(model.lastIndexOf('/') + 1).toLowerCase();
  const version = /^gemini-(\d+(?:\.\d+)?)/.exec(name)?.[1];
  // A tuned model's own name says nothing: the older rules, which ask for less, are taken.
  const unnumbered = name.startsWith('gemini-') ? Number.POSITIVE_INFINITY : 2;
  return { name, generation: version === undefined ? unnumbered : Number(version), gemma: name.startsWith('gemma') };
}

/** Tokens of thinking that Google's own OpenAI-style endpoint allows for each effort on 2.5 models. */
const BUDGETS: Readonly<Record<Exclude<Effort, 'none'>, number>> = {
  minimal: 1024,
  low: 1024,
  medium: 8192,
  high: 24_576,
  xhigh: 32_768,
  max: 32_768,
};

/**
 * `thinkingConfig`, or undefined to leave the model at its default. Exactly one of level and budget may be set.
 *
 * From Gemini 3 on there are levels, and thinking cannot be switched off: "none" and "minimal" are LOW, the
 * lowest that all of them take (MINIMAL is refused by some); without an effort, a budget of up to 1 024 tokens is
 * LOW, up to 8 192 MEDIUM, more HIGH. On 2.5 there are budgets (-1: as the model sees fit), kept in the model's
 * range; 2.5 Pro cannot be switched off either and gets its least, 128.
 */
export function thinkingConfig(reasoning: Reasoning, model: GeminiModel): Record<string, unknown> | undefined {
  if (model.gemma || model.generation < 2.5) return undefined;
  const { enabled, effort, budgetTokens, visible } = reasoning;
  const off = enabled === false || effort === 'none' || (effort === undefined && budgetTokens === 0);
  const thoughts = visible === true && { includeThoughts: true };
  if (model.generation >= 3) {
    const level = off ? 'LOW' : levelFor(effort, budgetTokens, model);
    const config = { ...(level !== undefined && { thinkingLevel: level }), ...thoughts };
    return Object.keys(config).length === 0 ? undefined : config;
  }
  const pro = model.name.includes('pro');
  // Asking to see thoughts where there are none is refused.
  if (off) return pro ? { thinkingBudget: 128, ...thoughts } : { thinkingBudget: 0 };
  const asked = budgetTokens ?? (effort && BUDGETS[effort]);
  if (asked === undefined && enabled !== true) return visible === true ? { includeThoughts: true } : undefined;
  const least = pro ? 128 : model.name.includes('flash-lite') ? 512 : 1;
  const most = pro ? 32_768 : 24_576;
  return { thinkingBudget: asked === undefined ? -1 : Math.min(Math.max(asked, least), most), ...thoughts };
}

function levelFor(
  effort: Exclude<Effort, 'none'> | undefined,
  budgetTokens: number | undefined,
  model: GeminiModel,
): string | undefined {
  const tokens = effort === undefined ? budgetTokens : BUDGETS[effort];
  if (tokens === undefined) return undefined;
  if (tokens <= 1024) return 'LOW';
  // The first of the third generation knew LOW and HIGH only.
  return tokens <= 8192 && !/^gemini-3-pro\b/.test(model.name) ? 'MEDIUM' : 'HIGH';
}
