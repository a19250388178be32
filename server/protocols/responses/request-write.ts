/**
 * A conversation → a request to a Responses API. Nothing is stored there (`store: false`): the conversation is the
 * client's to keep, and reasoning comes back sealed, to be sent again with the next turn.
 */
import { createHash } from 'node:crypto';
import type {
  Block,
  Conversation,
  Effort,
  FileBlock,
  ImageBlock,
  Maker,
  Reasoning,
  ResponseFormat,
  Source,
  TextBlock,
  ThinkingBlock,
  ToolChoice,
  ToolResultBlock,
  Turn,
} from '../conversation.ts';
import { Untranslatable, type WriteTarget } from '../protocol.ts';

type Item = Record<string, unknown>;

/** OpenAI refuses a smaller bound; an answer a little longer than asked for is better than none. */
const LEAST_OUTPUT_TOKENS = 16;
/** Longest call id and longest user id that OpenAI takes. */
const LONGEST_ID = 64;

/** @throws Untranslatable */
export function writeRequest(conversation: Conversation, target: WriteTarget): Record<string, unknown> {
  const { system, tools, toolChoice, parallelToolCalls, maxOutputTokens, temperature, topP, user } = conversation;
  refuseWhatCannotBeSaid(conversation, target);
  const maker = target.dialect.maker ?? 'openai';
  const reasoning = target.reasoning ? writeReasoning(conversation.reasoning) : undefined;
  const format = conversation.responseFormat && writeFormat(conversation.responseFormat);
  return {
    model: target.model,
    ...(system.length > 0 && { instructions: system.map(({ text }) => text).join('\n\n') }),
    input: conversation.turns.flatMap((turn) => writeTurn(turn, target.reasoning ? maker : undefined)),
    ...(tools.length > 0 && {
      tools: tools.map(({ name, description, parameters, strict }) => ({
        type: 'function',
        name,
        ...(description !== undefined && { description }),
        parameters,
        // Left out, it would mean true here, and false everywhere else.
        strict: strict ?? false,
      })),
    }),
    ...(toolChoice && tools.length > 0 && { tool_choice: writeChoice(toolChoice) }),
    ...(parallelToolCalls !== undefined && tools.length > 0 && { parallel_tool_calls: parallelToolCalls }),
    ...(maxOutputTokens !== undefined && { max_output_tokens: Math.max(maxOutputTokens, LEAST_OUTPUT_TOKENS) }),
    ...(target.sampling && temperature !== undefined && { temperature }),
    ...(target.sampling && topP !== undefined && { top_p: topP }),
    ...(reasoning && { reasoning }),
    ...(format && { text: { format } }),
    ...(user !== undefined && { safety_identifier: user.length > LONGEST_ID ? hash(user) : user }),
    ...(target.reasoning && { include: ['reasoning.encrypted_content'] }),
    store: false,
    ...(conversation.stream && { stream: true }),
  };
}

function refuseWhatCannotBeSaid(conversation: Conversation, { sampling }: WriteTarget): void {
  const { only, stop, seed, topK, presencePenalty = 0, frequencyPenalty = 0 } = conversation;
  const [first] = only;
  if (first !== undefined) throw new Untranslatable(first, 'has no counterpart in the Responses API');
  const absent = (field: string) => new Untranslatable(field, 'the Responses API has no such setting');
  if (stop.length > 0) throw absent('stop');
  // A model that takes no sampling settings gets none of them, here as everywhere.
  if (!sampling) return;
  if (seed !== undefined) throw absent('seed');
  if (topK !== undefined) throw absent('top_k');
  if (presencePenalty !== 0) throw absent('presence_penalty');
  if (frequencyPenalty !== 0) throw absent('frequency_penalty');
}

/** Blocks in their order; neighbouring parts of a message stay one message. */
function writeTurn({ role, blocks }: Turn, maker: Maker | undefined): Item[] {
  const items: Item[] = [];
  let parts: Item[] = [];
  const endMessage = () => {
    if (parts.length > 0) items.push({ type: 'message', role, content: parts });
    parts = [];
  };
  for (const block of blocks) {
    if (block.type === 'tool_call' || block.type === 'tool_result' || block.type === 'thinking') {
      endMessage();
      const item = block.type === 'thinking' ? writeThinking(block, maker) : writeToolItem(block);
      if (item !== undefined) items.push(item);
    } else parts.push(role === 'assistant' ? writeAssistantPart(block) : writePart(block));
  }
  endMessage();
  // Reasoning that led to nothing (the answer was cut there) is refused: each must be followed by what it led to.
  while (items.at(-1)?.type === 'reasoning') items.pop();
  return items;
}

function writeToolItem(block: Extract<Block, { type: 'tool_call' | 'tool_result' }>): Item {
  if (block.type === 'tool_result') {
    return { type: 'function_call_output', call_id: shortId(block.callId), output: writeOutput(block) };
  }
  return { type: 'function_call', call_id: shortId(block.id), name: block.name, arguments: block.arguments };
}

/** What this maker did not seal it cannot take back. */
function writeThinking({ text, sealed }: ThinkingBlock, maker: Maker | undefined): Item | undefined {
  if (sealed === undefined || sealed.by !== maker) return undefined;
  return {
    type: 'reasoning',
    ...(sealed.id !== undefined && { id: sealed.id }),
    summary: text === '' ? [] : [{ type: 'summary_text', text }],
    encrypted_content: sealed.data,
  };
}

function writeAssistantPart(block: Block): Item {
  if (block.type === 'text') return { type: 'output_text', text: block.text, annotations: [] };
  throw new Untranslatable(block.type, 'the Responses API takes only text in what an assistant said');
}

function writePart(block: Block): Item {
  if (block.type === 'text' || block.type === 'image' || block.type === 'file') return writeInput(block);
  throw new Untranslatable(block.type, `the Responses API takes no ${block.type} as input`);
}

function writeInput(block: TextBlock | ImageBlock | FileBlock): Item {
  if (block.type === 'text') return { type: 'input_text', text: block.text };
  if (block.type === 'image') {
    return {
      type: 'input_image',
      detail: block.detail ?? 'auto',
      ...writeSource(block.source, 'image_url', 'image_url'),
    };
  }
  const source = writeSource(block.source, 'file_url', 'file_data');
  // Data must have a name.
  const name =
    block.name ?? (block.source.kind === 'base64' ? 'document' + endingOf(block.source.mediaType) : undefined);
  return { type: 'input_file', ...(name !== undefined && { filename: name }), ...source };
}

function writeSource(source: Source, urlField: string, dataField: string): Item {
  if (source.kind === 'file') return { file_id: source.fileId };
  if (source.kind === 'url') return { [urlField]: source.url };
  return { [dataField]: `data:${source.mediaType};base64,${source.data}` };
}

const endingOf = (mediaType: string): string =>
  mediaType === 'application/pdf' ? '.pdf' : mediaType.startsWith('text/') ? '.txt' : '';

/** There is no field for a tool that failed, so its result says it. */
function writeOutput({ content, isError }: ToolResultBlock): string | Item[] {
  const [first, ...others] = content;
  const failed = isError && !(first?.type === 'text' && /^\W*error/i.test(first.text));
  const mark = failed ? 'Error: ' : '';
  if (first === undefined) return failed ? 'Error' : '';
  if (first.type === 'text' && others.length === 0) return mark + first.text;
  const parts = content.map(writeInput);
  return failed ? [{ type: 'input_text', text: 'Error:' }, ...parts] : parts;
}

function writeChoice(choice: ToolChoice): unknown {
  return choice.type === 'tool' ? { type: 'function', name: choice.name } : choice.type;
}

function writeReasoning(reasoning: Reasoning | undefined): Item | undefined {
  if (reasoning === undefined) return undefined;
  const { enabled, budgetTokens, visible } = reasoning;
  const effort =
    enabled === false
      ? 'none'
      : (reasoning.effort ?? (budgetTokens === undefined ? undefined : effortOf(budgetTokens)));
  const written = { ...(effort !== undefined && { effort }), ...(visible === true && { summary: 'auto' }) };
  return Object.keys(written).length === 0 ? undefined : written;
}

/** Other protocols bound the reasoning in tokens; here it has a degree. */
function effortOf(budgetTokens: number): Effort {
  if (budgetTokens === 0) return 'none';
  if (budgetTokens <= 4096) return 'low';
  return budgetTokens <= 16_384 ? 'medium' : 'high';
}

function writeFormat(format: ResponseFormat): Item {
  if (format.type !== 'json_schema') return { type: format.type === 'json' ? 'json_object' : 'text' };
  const { name, schema, strict } = format;
  return { type: 'json_schema', name, schema, ...(strict !== undefined && { strict }) };
}

/** The same short id for the same long one, so that results still find their calls. */
const shortId = (id: string): string => (id.length > LONGEST_ID ? `call_${hash(id).slice(0, 32)}` : id);

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
