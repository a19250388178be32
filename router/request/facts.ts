/** Turns → facts about a request: counts and flags that filter candidates, price the call and say which step of an agent it is. */
import { askedIn } from './asked.ts';
import { type Conversation, saysSomething, type Turn } from './conversation.ts';
import { type Script, scriptOf } from './script.ts';
import { type AgentStep, stepOf } from './steps.ts';
import { IMAGE_TOKENS, jsonTokens } from './tokens.ts';

/** Facts about a request. Counts and flags; no text. */
export interface RequestFacts {
  /** Estimated tokens of the whole input, see `estimateTokens`; tool and answer schemas, tool calls and files included, images at 1 000 each. */
  readonly inputTokens: number;
  /** Upper bound the client set on the answer, if any. */
  readonly maxOutputTokens?: number;
  /** Images that the answer is about: of the last user turn, of what is not answered yet, and of tools since. */
  readonly images: number;
  /** Audio, likewise. */
  readonly audio: number;
  /** Files, likewise: PDFs and what else is no text. Absent: none. */
  readonly files?: number;
  /** Those of earlier turns, which have been answered: a model that cannot read them may take over, with a note in their place. Absent: none. */
  readonly imagesInHistory?: number;
  readonly audioInHistory?: number;
  readonly filesInHistory?: number;
  /** Tools offered. */
  readonly tools: number;
  /** True when the answer must follow a JSON schema. */
  readonly responseSchema: boolean;
  /** User turns in the conversation; what a harness sends by itself is none. */
  readonly turns: number;
  /** Characters of the last user turn before it was cut, boilerplate left out. */
  readonly chars: number;
  /** What is asked is mostly written in this script. Absent: Latin. */
  readonly script?: Script;
  /** Absent where no tool has answered yet. */
  readonly toolResults?: ToolResults;
  /** Absent for a plain chat. */
  readonly step?: AgentStep;
}

/** What tools answered: all that routing knows of it, since their text says nothing of how hard the task is. */
export interface ToolResults {
  readonly count: number;
  /** Estimated, over all of them. */
  readonly tokens: number;
  /** Those that report a failure: flagged, or beginning with an error. */
  readonly errors: number;
  /** True when the conversation ends with one: the model is to act on it. */
  readonly latest: boolean;
}

export interface Read {
  /** What people said, turn by turn, boilerplate left out; the last one is what is asked. */
  readonly userTurns: readonly string[];
  /** What is asked: the last user turn or, where nobody spoke, what was said otherwise. */
  readonly asked: string;
  readonly facts: RequestFacts;
}

/** @returns null when there is nothing to answer */
export function readFacts(conversation: Conversation): Read | null {
  const { turns, tools, schema, responseSchema, maxOutputTokens, continues } = conversation;
  if (!continues && !turns.some(saysSomething)) return null;
  const userTurns: string[] = [];
  let spoke = false;
  let lastUser = -1;
  for (let k = 0; k < turns.length; k++) {
    const turn = turns[k]!;
    if (turn.role !== 'user') continue;
    if (turn.images + turn.audio + turn.files > 0) lastUser = k;
    if (!turn.texts.some((text) => text.trim() !== '')) continue;
    spoke = true;
    const text = askedIn(turn.texts);
    if (text.trim() === '') continue;
    userTurns.push(text);
    lastUser = k;
  }
  // A harness alone has asked nothing: its text is not what the answer depends on.
  const asked = userTurns.at(-1) ?? (spoke ? '' : spoken(turns));
  const since = answeredUpTo(turns, lastUser);
  const before = totals(turns, 0, since);
  const now = totals(turns, since, turns.length);
  const schemas = (tools.length > 0 ? jsonTokens(tools) : 0) + (schema ? jsonTokens(schema) : 0);
  const count = before.toolResults + now.toolResults;
  const step = turns.length === 0 ? undefined : stepOf(conversation, asked, since);
  const script = scriptOf(asked);
  const facts: RequestFacts = {
    inputTokens: Math.ceil(before.tokens + now.tokens + schemas) + (before.images + now.images) * IMAGE_TOKENS,
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
    images: now.images,
    audio: now.audio,
    ...(now.files > 0 && { files: now.files }),
    ...(before.images > 0 && { imagesInHistory: before.images }),
    ...(before.audio > 0 && { audioInHistory: before.audio }),
    ...(before.files > 0 && { filesInHistory: before.files }),
    tools: tools.length,
    responseSchema,
    turns: userTurns.length,
    chars: asked.length,
    ...(script !== undefined && { script }),
    ...(count > 0 && {
      toolResults: {
        count,
        tokens: Math.ceil(before.toolTokens + now.toolTokens),
        errors: before.toolErrors + now.toolErrors,
        latest: turns.at(-1)!.toolResults > 0,
      },
    }),
    ...(step !== undefined && { step }),
  };
  return { userTurns, asked, facts };
}

/** Sums over some of the turns; images and files of tools are images and files. */
function totals(turns: readonly Turn[], from: number, to: number) {
  const sum = { tokens: 0, images: 0, audio: 0, files: 0, toolResults: 0, toolTokens: 0, toolErrors: 0 };
  for (let k = from; k < to; k++) {
    const turn = turns[k]!;
    sum.tokens += turn.tokens;
    sum.images += turn.images + turn.toolImages;
    sum.audio += turn.audio;
    sum.files += turn.files + turn.toolFiles;
    sum.toolResults += turn.toolResults;
    sum.toolTokens += turn.toolTokens;
    sum.toolErrors += turn.toolErrors;
  }
  return sum;
}

/** Turns before this one have been answered, and belong to another question; 0 where no user turn follows an answer. */
function answeredUpTo(turns: readonly Turn[], lastUser: number): number {
  for (let k = lastUser - 1; k >= 0; k--) if (turns[k]!.role === 'assistant') return k + 1;
  return 0;
}

/** Without a user turn: what system and assistant said. */
const spoken = (turns: readonly Turn[]): string =>
  turns
    .map(({ texts }) => texts.join('\n'))
    .filter((text) => text !== '')
    .join('\n');
