/** A conversation → the body of Converse and ConverseStream; the model's id and the streaming are in the path. */
import type { Conversation, Tool, ToolChoice } from '../conversation.ts';
import { Untranslatable, type WriteTarget } from '../protocol.ts';
import { type Family, familyOf, isClaudeFrom } from './family.ts';
import { thinkingFields } from './thinking.ts';
import { cachePoint, isBlank, type Json, messagesOf, standsInUnsignedLoop } from './turns.ts';

/** Where Claude's own stop reason may say which sequence it met: in a whole answer, and in a stream. */
const STOP_SEQUENCE_PATHS = ['/stop_sequence', '/delta/stop_sequence'];

/**
 * Seed, penalties, `user`, an image's `detail` and, but for Claude and Nova, `topK` are left out: Converse has no
 * place for them, and an answer without them is still the answer asked for.
 * @throws Untranslatable
 */
export function writeRequest(conversation: Conversation, target: WriteTarget): Json {
  const [only] = conversation.only;
  if (only !== undefined) throw new Untranslatable(only, 'cannot be said to Bedrock');
  const family = familyOf(target);
  if (family.kind === 'claude' && conversation.stop.some(isBlank)) {
    throw new Untranslatable('stop', 'Claude takes no sequence of white space alone');
  }
  // `none` cannot be said, and Bedrock takes calls and results only beside a list of tools: without one, they are told.
  const withTools = conversation.tools.length > 0 && conversation.toolChoice?.type !== 'none';
  const messages = messagesOf(conversation, { target, family, toolBlocks: withTools });
  if (family.kind === 'claude') trimPrefill(messages.at(-1)!);
  const maxTokens = boundOf(conversation, target);
  const thinking = thinkingFields(conversation, target, family, {
    maxTokens,
    unsigned: standsInUnsignedLoop(messages),
  });
  const sampling = target.sampling && !thinking.fixedSampling;
  const system = conversation.system.flatMap(({ text, cache }) =>
    isBlank(text) ? [] : [{ text }, ...cachePoint(cache, family)],
  );
  const inferenceConfig = defined({
    maxTokens: thinking.maxTokens ?? maxTokens,
    temperature: sampling ? conversation.temperature : undefined,
    // Claude from 4.5 on takes either of the two.
    topP:
      sampling && !(conversation.temperature !== undefined && isClaudeFrom(family, 4.5))
        ? conversation.topP
        : undefined,
    stopSequences: conversation.stop.length > 0 ? [...conversation.stop] : undefined,
  });
  const tools = withTools ? toolsOf(conversation, family) : { toolConfig: undefined, fields: {} };
  const fields = { ...thinking.fields, ...(sampling && topKOf(conversation, family)), ...tools.fields };
  return defined({
    messages,
    system: system.length > 0 ? system : undefined,
    inferenceConfig: isEmpty(inferenceConfig) ? undefined : inferenceConfig,
    toolConfig: tools.toolConfig,
    outputConfig: outputConfigOf(conversation),
    additionalModelRequestFields: isEmpty(fields) ? undefined : fields,
    additionalModelResponseFieldPaths:
      family.kind === 'claude' && conversation.stop.length > 0 ? STOP_SEQUENCE_PATHS : undefined,
  });
}

/** A bound beyond the model's own is refused, and means no more than that one. */
function boundOf({ maxOutputTokens }: Conversation, target: WriteTarget): number | undefined {
  if (maxOutputTokens === undefined || target.maxOutputTokens === undefined) return maxOutputTokens;
  return Math.min(maxOutputTokens, target.maxOutputTokens);
}

function topKOf({ topK }: Conversation, { kind }: Family): Json {
  if (topK === undefined) return {};
  if (kind === 'claude') return { top_k: topK };
  return kind === 'nova' ? { inferenceConfig: { topK } } : {};
}

function toolsOf(conversation: Conversation, family: Family): { toolConfig: Json; fields: Json } {
  const { toolChoice, parallelToolCalls } = conversation;
  const tools = conversation.tools.flatMap((tool) => [
    { toolSpec: toolSpec(tool, family) },
    // Nova caches system and messages only.
    ...(family.kind === 'claude' ? cachePoint(tool.cache, family) : []),
  ]);
  const forced = toolChoice?.type === 'required' || toolChoice?.type === 'tool';
  if (forced && family.opus && family.version !== null && family.version >= 5.5) {
    throw new Untranslatable('tool_choice', 'this model cannot be made to call a tool');
  }
  if (parallelToolCalls === false) {
    if (!isClaudeFrom(family, 4)) {
      throw new Untranslatable('parallel_tool_calls', 'this model on Bedrock cannot be kept to one call at a time');
    }
    // Said in Claude's own words, and then the whole choice is: Bedrock refuses the two side by side.
    return {
      toolConfig: { tools },
      fields: { tool_choice: { ...claudeChoice(toolChoice), disable_parallel_tool_use: true } },
    };
  }
  return { toolConfig: defined({ tools, toolChoice: choiceOf(toolChoice) }), fields: {} };
}

function choiceOf(choice: ToolChoice | undefined): Json | undefined {
  if (choice === undefined) return undefined;
  if (choice.type === 'tool') return { tool: { name: choice.name } };
  return choice.type === 'required' ? { any: {} } : { auto: {} };
}

function claudeChoice(choice: ToolChoice | undefined): Json {
  if (choice?.type === 'tool') return { type: 'tool', name: choice.name };
  return { type: choice?.type === 'required' ? 'any' : 'auto' };
}

function toolSpec({ name, description = '', parameters, strict }: Tool, family: Family): Json {
  // The name comes back with the call, so that it cannot be another one on the way.
  if (!/^[a-zA-Z0-9_-]{1,64}$/.test(name)) {
    const rule = 'Bedrock takes names of up to 64 letters, digits, _ and -';
    throw new Untranslatable('tools', `${rule}; ${JSON.stringify(name.slice(0, 100))} is none`);
  }
  return defined({
    name,
    description: isBlank(description) ? undefined : description,
    inputSchema: { json: 'type' in parameters ? parameters : { type: 'object', properties: {}, ...parameters } },
    strict: strict === true && takesStrict(family) && parameters.additionalProperties === false ? true : undefined,
  });
}

/** Claude 4.5 to 4.x on Bedrock enforces schemas of tools; others refuse the field. */
const takesStrict = ({ kind, version }: Family): boolean =>
  kind === 'claude' && version !== null && version >= 4.5 && version < 5;

function outputConfigOf({ responseFormat }: Conversation): Json | undefined {
  if (responseFormat === undefined || responseFormat.type === 'text') return undefined;
  if (responseFormat.type !== 'json_schema') {
    throw new Untranslatable('response_format', 'Bedrock takes a JSON schema, not JSON of any shape');
  }
  const { name, schema } = responseFormat;
  const jsonSchema = { schema: JSON.stringify(schema), ...(name !== '' && { name }) };
  return { textFormat: { type: 'json_schema', structure: { jsonSchema } } };
}

/** Claude refuses a last turn of the assistant, to be gone on with, that ends in white space. */
function trimPrefill({ role, content }: { readonly role: string; readonly content: Json[] }): void {
  const last = content.at(-1);
  if (role === 'assistant' && typeof last?.text === 'string') last.text = last.text.trimEnd();
}

const isEmpty = (object: Json): boolean => Object.keys(object).length === 0;

const defined = (object: Json): Json =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
