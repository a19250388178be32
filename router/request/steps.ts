/** Which step of an agent's work a request is: told by its structure first, by the words of known harnesses second. */
import { askedIn } from './asked.ts';
import type { Conversation, Turn } from './conversation.ts';
import {
  MODE_BLOCK,
  PLAN_EXITS,
  PLAN_MODE,
  PLAN_OVER,
  PLAN_REMINDER,
  PLANNER_PROMPTS,
  SUBAGENT_NOTE,
  SUBAGENT_PROMPTS,
  SUMMARY_PROMPTS,
  SUMMARY_REQUESTS,
} from './harness.ts';

/**
 * `plan`: tools are offered and none has answered since the person spoke, or plan mode is on; `act`: a tool has just
 * answered; `summarise`: the conversation is to be summed up or given a title; `subagent`: another agent asks, whichever
 * its own step is.
 */
export const STEPS = ['plan', 'act', 'summarise', 'subagent'] as const;
export type AgentStep = (typeof STEPS)[number];

/** Characters of a text in which words that stand at its beginning are looked for. */
const NEAR = 400;
/** A compaction prompt may open with warnings not to call tools. */
const NEAR_IN_TURN = 2000;

/**
 * @param asked what the person said last, free of boilerplate
 * @param since index of the first turn after the assistant's last one before that
 * @returns undefined for a plain chat
 */
export function stepOf({ turns, tools }: Conversation, asked: string, since: number): AgentStep | undefined {
  const system = turns.filter(isSystem);
  if (begins(system, SUMMARY_PROMPTS)) return 'summarise';
  const beginning = asked.slice(0, NEAR_IN_TURN);
  if (SUMMARY_REQUESTS.some((words) => words.test(beginning))) return 'summarise';
  if (tools.length === 0 && !turns.some(({ toolResults }) => toolResults > 0)) return undefined;
  if (planModeIsOn(turns, system, since) || begins(system, PLANNER_PROMPTS)) return 'plan';
  const noted = system.some(({ texts }) => texts.some((text) => text.includes(SUBAGENT_NOTE)));
  if (noted || begins(system, SUBAGENT_PROMPTS)) return 'subagent';
  if (turns.findLast(isNotBoilerplate)?.toolResults) return 'act';
  return tools.length > 0 && !turns.slice(since).some(({ role }) => role === 'assistant') ? 'plan' : undefined;
}

const isSystem = ({ role }: Turn): boolean => role === 'system' || role === 'developer';

/** A harness may put a reminder behind what it waits for an answer to. */
const isNotBoilerplate = (turn: Turn): boolean =>
  !isSystem(turn) &&
  (turn.role !== 'user' || turn.toolResults + turn.images + turn.audio + turn.files > 0 || askedIn(turn.texts) !== '');

const begins = (system: readonly Turn[], prompts: readonly string[]): boolean =>
  system.some(({ texts }) =>
    texts.some((text) => {
      const beginning = text.slice(0, NEAR);
      return prompts.some((prompt) => beginning.includes(prompt));
    }),
  );

function planModeIsOn(turns: readonly Turn[], system: readonly Turn[], since: number): boolean {
  for (let k = system.length - 1; k >= 0; k--) {
    const text = system[k]!.texts.join('\n');
    const at = text.lastIndexOf(MODE_BLOCK);
    if (at < 0) continue;
    if (PLAN_MODE.test(text.slice(at + MODE_BLOCK.length, at + MODE_BLOCK.length + NEAR))) return true;
    break;
  }
  let on = false;
  for (let k = since; k < turns.length; k++) {
    const { role, texts, calls } = turns[k]!;
    if (role !== 'assistant') {
      for (const text of texts) {
        if (PLAN_REMINDER.test(text)) on = true;
        if (PLAN_OVER.test(text)) on = false;
      }
    }
    const answer = turns[k + 1];
    const approved = answer !== undefined && answer.toolResults > 0 && answer.toolErrors === 0;
    if (approved && calls.some((name) => PLAN_EXITS.has(name))) on = false;
  }
  return on;
}
