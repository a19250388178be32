/**
 * Tools and tool choice of a Responses request. Functions are everybody's; a custom tool that takes any text is a
 * function with one text argument; what OpenAI runs itself, or has trained its models on (`local_shell`,
 * `apply_patch`), and a tool whose input a grammar binds, no other protocol can say.
 */
import { isObject } from '../../forward/usage.ts';
import type { Tool, ToolChoice } from '../conversation.ts';
import { flag, type Json, list, object, oneOf, optional, refuse, text } from './fields.ts';

export interface ReadTools {
  readonly tools: readonly Tool[];
  readonly toolChoice: ToolChoice | undefined;
  readonly only: readonly string[];
}

export function readTools(json: Json): ReadTools {
  const only: string[] = [];
  const tools: Tool[] = [];
  for (const [i, value] of (optional(json.tools, 'tools', list) ?? []).entries()) {
    const path = `tools.${i}`;
    const tool = object(value, path);
    const type = text(tool.type, `${path}.type`);
    if (type === 'function') tools.push(readFunction(tool, path, only));
    else if (type === 'custom' && takesAnyText(tool)) tools.push(readCustom(tool, path));
    else only.push(type === 'custom' ? 'tools.custom.format' : `tools.${type}`);
  }
  const { tool_choice: choice } = json;
  if (isObject(choice) && choice.type === 'allowed_tools') return { ...readAllowed(choice, tools, only), only };
  return { tools, toolChoice: optional(choice, 'tool_choice', (value) => readChoice(value, only)), only };
}

/** Names of custom tools: a call of one goes back to the client as such. */
export function customToolNames(json: Json): ReadonlySet<string> {
  const tools = Array.isArray(json.tools) ? json.tools.filter(isObject) : [];
  return new Set(tools.filter(({ type }) => type === 'custom').map(({ name }) => String(name)));
}

function readFunction(tool: Json, path: string, only: string[]): Tool {
  // The Responses protocol has the function's fields in the tool itself; chat has them in `function`.
  if (isObject(tool.function)) refuse(`${path}.name`, 'is missing; here a function has its fields in the tool itself');
  if (tool.defer_loading === true) only.push('tools.defer_loading');
  const description = optional(tool.description, `${path}.description`, text);
  const strict = optional(tool.strict, `${path}.strict`, flag);
  return {
    name: text(tool.name, `${path}.name`),
    ...(description !== undefined && { description }),
    parameters: optional(tool.parameters, `${path}.parameters`, object) ?? { type: 'object', properties: {} },
    ...(strict !== undefined && { strict }),
  };
}

const takesAnyText = ({ format }: Json): boolean =>
  format === undefined || format === null || (isObject(format) && format.type === 'text');

function readCustom(tool: Json, path: string): Tool {
  const description = optional(tool.description, `${path}.description`, text);
  return {
    name: text(tool.name, `${path}.name`),
    ...(description !== undefined && { description }),
    parameters: {
      type: 'object',
      properties: { input: { type: 'string' } },
      required: ['input'],
      additionalProperties: false,
    },
  };
}

function readChoice(choice: unknown, only: string[]): ToolChoice | undefined {
  if (typeof choice === 'string') {
    return { type: oneOf(choice, ['auto', 'none', 'required'] as const, 'tool_choice') };
  }
  const { type, name } = object(choice, 'tool_choice');
  if (type === 'function' || type === 'custom') return { type: 'tool', name: text(name, 'tool_choice.name') };
  only.push(`tool_choice.${text(type, 'tool_choice.type')}`);
  return undefined;
}

/** Only some of the tools may be called: the others are not offered. */
function readAllowed(choice: Json, tools: readonly Tool[], only: string[]): Omit<ReadTools, 'only'> {
  const mode = oneOf(choice.mode, ['auto', 'required'] as const, 'tool_choice.mode');
  const names = new Set<string>();
  for (const [i, value] of list(choice.tools, 'tool_choice.tools').entries()) {
    const { type, name } = object(value, `tool_choice.tools.${i}`);
    if (type === 'function' || type === 'custom') names.add(text(name, `tool_choice.tools.${i}.name`));
    else only.push(`tool_choice.tools.${text(type, `tool_choice.tools.${i}.type`)}`);
  }
  return { tools: tools.filter(({ name }) => names.has(name)), toolChoice: { type: mode } };
}
