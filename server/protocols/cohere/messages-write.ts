/** The turns of a conversation as Cohere's messages, tool results apart from what the user says. */
import type { Block, Conversation, ImageBlock, ToolResultBlock, Turn } from '../conversation.ts';
import { Untranslatable } from '../protocol.ts';

type Json = Record<string, unknown>;

export interface MessagesOptions {
  /** The model thinks, and may be given what it thought. */
  readonly thinks: boolean;
}

/** @throws {@link Untranslatable} for files, sound, and images anywhere but in the user's words */
export function writeMessages({ system, turns }: Conversation, options: MessagesOptions): Json[] {
  const instructions = system.filter(({ text }) => text !== '').map(({ text }) => ({ type: 'text', text }));
  const messages = turns.flatMap((turn) =>
    turn.role === 'user' ? userMessages(turn) : assistantMessages(turn, options),
  );
  if (messages.length === 0) throw new Untranslatable('messages', 'there is nothing in them to send');
  return instructions.length === 0 ? messages : [{ role: 'system', content: content(instructions) }, ...messages];
}

/** Text alone goes as a string, the form that every model takes. */
function content(parts: readonly Json[]): unknown {
  return parts.length === 1 && parts[0]!.type === 'text' ? parts[0]!.text : parts;
}

/** Results come first, whatever their place in the turn: they must follow the calls that they answer. */
function userMessages({ blocks }: Turn): Json[] {
  const results: Json[] = [];
  const parts: Json[] = [];
  for (const block of blocks) {
    if (block.type === 'tool_result') results.push(resultMessage(block));
    else if (block.type === 'image') parts.push(imagePart(block));
    else if (block.type === 'text') parts.push(...textParts(block.text));
    else if (block.type !== 'thinking') throw refused(block, 'user');
  }
  return parts.length === 0 ? results : [...results, { role: 'user', content: content(parts) }];
}

const textParts = (text: string): Json[] => (text === '' ? [] : [{ type: 'text', text }]);

/** Cohere fetches an image by its address itself. */
function imagePart({ source, detail }: ImageBlock): Json {
  if (source.kind === 'file') {
    throw new Untranslatable('messages', 'Cohere cannot read the image that another provider holds as a file id');
  }
  const url = source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`;
  return { type: 'image_url', image_url: { url, ...(detail !== undefined && { detail }) } };
}

/** There is no mark for an error, but tools speak JSON: it goes as `{"error": text}`. */
function resultMessage({ callId, content: blocks, isError }: ToolResultBlock): Json {
  const parts = blocks.flatMap((block) => {
    if (block.type !== 'text') throw new Untranslatable('messages', `Cohere takes no ${block.type} as a tool's result`);
    return textParts(block.text);
  });
  const text = parts.map((part) => part.text).join('\n');
  const said = isError ? JSON.stringify({ error: text }) : parts.length === 0 ? '' : content(parts);
  return { role: 'tool', tool_call_id: callId, content: said };
}

/**
 * What a model says before it calls tools is their `tool_plan`, which is also read as text, so that a plan survives
 * every client. Thinking goes back, where it is nobody's sealed secret, with the calls that it led to.
 */
function assistantMessages({ blocks }: Turn, { thinks }: MessagesOptions): Json[] {
  const texts: string[] = [];
  const thoughts: Json[] = [];
  const calls: Json[] = [];
  for (const block of blocks) {
    if (block.type === 'text') {
      if (block.text !== '') texts.push(block.text);
    } else if (block.type === 'thinking') {
      if (block.text !== '' && !block.sealed) thoughts.push({ type: 'thinking', thinking: block.text });
    } else if (block.type === 'tool_call') {
      const { id, name, arguments: json } = block;
      calls.push({ id, type: 'function', function: { name, arguments: json.trim() === '' ? '{}' : json } });
    } else throw refused(block, 'assistant');
  }
  if (calls.length === 0) {
    const parts = texts.map((text) => ({ type: 'text', text }));
    return parts.length === 0 ? [] : [{ role: 'assistant', content: content(parts) }];
  }
  return [
    {
      role: 'assistant',
      ...(thinks && thoughts.length > 0 && { content: thoughts }),
      ...(texts.length > 0 && { tool_plan: texts.join('\n') }),
      tool_calls: calls,
    },
  ];
}

const refused = ({ type }: Block, role: Turn['role']) =>
  new Untranslatable('messages', `Cohere takes no ${type.replace('_', ' ')} from the ${role}`);
