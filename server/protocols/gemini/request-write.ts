/** A conversation → the body of Gemini's `generateContent`. */
import type { Conversation, ResponseFormat, Tool, ToolChoice } from '../conversation.ts';
import { Untranslatable, type WriteTarget } from '../protocol.ts';
import { type Part, writeContents } from './contents-write.ts';
import { type GeminiModel, geminiModel, thinkingConfig } from './model.ts';
import { geminiSchema, takesNothing } from './schema.ts';

const MAX_STOPS = 5;
const FUNCTION_NAME = /^[A-Za-z_][\w.:-]{0,127}$/;

/**
 * Left out because Gemini has no word for it and an answer is right without: the end user's id, cache marks (it
 * caches by itself), an image's `detail`, a schema's name. `parallelToolCalls: false` is refused where tools may be
 * called: Gemini has no such switch, and a client that takes one call at a time would lose the others.
 *
 * @throws {@link Untranslatable}
 */
export function writeRequest(conversation: Conversation, target: WriteTarget): Record<string, unknown> {
  const { only, system, tools, toolChoice } = conversation;
  if (only.length > 0) throw new Untranslatable(only[0]!, `Gemini has nothing like ${only.join(', ')}`);
  const model = geminiModel(target.model);
  const contents = writeContents(conversation, {
    third: model.generation >= 3,
    maker: target.dialect.maker ?? 'google',
  });
  const instructions: Part[] = system.filter(({ text }) => text !== '').map(({ text }) => ({ text }));
  if (model.gemma && instructions.length > 0) {
    if (contents[0]?.role === 'user') contents[0].parts.unshift(...instructions);
    else contents.unshift({ role: 'user', parts: instructions });
  }
  if (contents.length === 0) throw new Untranslatable('messages', 'there is nothing in them to send');
  refuseClashes(conversation, model);
  const config = generationConfig(conversation, target, model);
  return {
    contents,
    ...(!model.gemma && instructions.length > 0 && { systemInstruction: { parts: instructions } }),
    ...(tools.length > 0 && {
      tools: [{ functionDeclarations: tools.map(declaration) }],
      ...toolConfig(tools, toolChoice),
    }),
    ...(Object.keys(config).length > 0 && { generationConfig: config }),
  };
}

/** What Gemini answers with a 400, told beforehand so that another model can be asked. */
function refuseClashes(
  { tools, toolChoice, parallelToolCalls, responseFormat }: Conversation,
  model: GeminiModel,
): void {
  const forced = toolChoice?.type === 'required' || toolChoice?.type === 'tool';
  if (forced && tools.length === 0) throw new Untranslatable('tool_choice', 'there is no tool to call');
  if (toolChoice?.type === 'tool' && !tools.some(({ name }) => name === toolChoice.name)) {
    throw new Untranslatable('tool_choice', `there is no tool ${JSON.stringify(toolChoice.name)}`);
  }
  if (tools.length === 0) return;
  if (parallelToolCalls === false && toolChoice?.type !== 'none') {
    throw new Untranslatable('parallel_tool_calls', 'Gemini cannot be kept from making several calls at once');
  }
  if (responseFormat === undefined || responseFormat.type === 'text') return;
  if (forced) throw new Untranslatable('response_format', 'Gemini cannot be held to JSON and to calling a tool');
  if (model.generation < 3) throw new Untranslatable('response_format', `${model.name} takes tools or JSON, not both`);
}

function declaration({ name, description, parameters }: Tool): Record<string, unknown> {
  if (!FUNCTION_NAME.test(name)) {
    throw new Untranslatable('tools', `Gemini takes no function named ${JSON.stringify(name.slice(0, 140))}`);
  }
  return {
    name,
    ...(description !== undefined && { description }),
    ...(!takesNothing(parameters) && { parametersJsonSchema: geminiSchema(parameters, 'tools') }),
  };
}

/** `strict` of any tool holds for all: VALIDATED keeps arguments to their schema and still leaves the choice to the model. */
function toolConfig(tools: readonly Tool[], choice: ToolChoice | undefined): Record<string, unknown> | undefined {
  const strict = tools.some((tool) => tool.strict === true);
  const config =
    choice === undefined || choice.type === 'auto'
      ? strict
        ? { mode: 'VALIDATED' }
        : choice && { mode: 'AUTO' }
      : choice.type === 'none'
        ? { mode: 'NONE' }
        : { mode: 'ANY', ...(choice.type === 'tool' && { allowedFunctionNames: [choice.name] }) };
  return config && { toolConfig: { functionCallingConfig: config } };
}

function generationConfig(
  conversation: Conversation,
  target: WriteTarget,
  model: GeminiModel,
): Record<string, unknown> {
  const { stop, seed, reasoning, maxOutputTokens, temperature, topP, topK } = conversation;
  const { presencePenalty, frequencyPenalty } = conversation;
  if (stop.length > MAX_STOPS) throw new Untranslatable('stop', `Gemini takes at most ${MAX_STOPS} stop sequences`);
  const all: Record<string, unknown> = {
    maxOutputTokens,
    ...(target.sampling && { temperature, topP, topK, presencePenalty, frequencyPenalty }),
    // 32 bits here, more elsewhere; all that a seed promises is that the same one does the same.
    seed: seed === undefined ? undefined : seed | 0,
    stopSequences: stop.length > 0 ? stop : undefined,
    ...formatOf(conversation.responseFormat),
    thinkingConfig: reasoning && target.reasoning ? thinkingConfig(reasoning, model) : undefined,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function formatOf(format: ResponseFormat | undefined): Record<string, unknown> {
  if (format === undefined || format.type === 'text') return {};
  return {
    responseMimeType: 'application/json',
    ...(format.type === 'json_schema' && { responseJsonSchema: geminiSchema(format.schema, 'response_format') }),
  };
}
