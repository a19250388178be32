/** The `input` of a Responses request → system texts and turns. */
import { isObject } from '../../forward/usage.ts';
import type {
  AudioBlock,
  Block,
  CacheMark,
  FileBlock,
  ImageBlock,
  Sealed,
  Source,
  TextBlock,
  ToolResultBlock,
  Turn,
} from '../conversation.ts';
import { type Json, list, object, oneOf, optional, refuse, text } from './fields.ts';
import { readSeal } from './seals.ts';

export interface ReadItems {
  readonly system: readonly TextBlock[];
  readonly turns: readonly Turn[];
  /** Kinds of items and parts that no other protocol can say, as `input.KIND`. */
  readonly only: readonly string[];
}

export function readItems(input: unknown): ReadItems {
  const reading = new ItemReading();
  if (typeof input === 'string') reading.add('user', [{ type: 'text', text: input }]);
  else if (Array.isArray(input))
    input.forEach((item, i) => void reading.item(object(item, `input.${i}`), `input.${i}`));
  else refuse('input', 'must be a text or a list of items');
  return reading;
}

type Part = TextBlock | ImageBlock | FileBlock | AudioBlock;

class ItemReading implements ReadItems {
  readonly system: TextBlock[] = [];
  readonly turns: { role: Turn['role']; blocks: Block[] }[] = [];
  readonly only: string[] = [];
  /** Seals of calls that are still to come. */
  readonly #callSeals = new Map<string, Sealed>();

  item(item: Json, path: string): void {
    const type = item.type ?? ('role' in item ? 'message' : 'id' in item ? 'item_reference' : undefined);
    if (type === 'message') this.#message(item, path);
    else if (type === 'function_call') this.#call(item, text(item.arguments, `${path}.arguments`), path);
    else if (type === 'custom_tool_call') this.#call(item, customArguments(text(item.input, `${path}.input`)), path);
    else if (type === 'function_call_output' || type === 'custom_tool_call_output') {
      const callId = text(item.call_id, `${path}.call_id`);
      const content = this.#output(item.output, `${path}.output`);
      this.add('user', [{ type: 'tool_result', callId, content, isError: false }]);
    } else if (type === 'reasoning') this.#reasoning(item, path);
    else this.only.push(`input.${text(type, `${path}.type`).slice(0, 40)}`);
  }

  /** Neighbouring items of one role are one turn: so the results of several tools stand together. */
  add(role: Turn['role'], blocks: readonly Block[]): void {
    const last = this.turns.at(-1);
    if (last?.role === role) for (const block of blocks) last.blocks.push(block);
    else if (blocks.length > 0) this.turns.push({ role, blocks: [...blocks] });
  }

  #message(item: Json, path: string): void {
    const role = oneOf(item.role, ['user', 'assistant', 'system', 'developer'] as const, `${path}.role`);
    const parts = this.#parts(item.content, `${path}.content`);
    if (role === 'user') this.add('user', parts);
    else
      for (const part of parts) {
        if (part.type !== 'text') this.only.push(`input.${role}.${part.type}`);
        else if (role === 'assistant') this.add('assistant', [part]);
        else this.system.push(part);
      }
  }

  #call(item: Json, json: string, path: string): void {
    const id = text(item.call_id, `${path}.call_id`);
    const sealed = this.#callSeals.get(id);
    const name = text(item.name, `${path}.name`);
    this.add('assistant', [{ type: 'tool_call', id, name, arguments: json, ...(sealed && { sealed }) }]);
  }

  #reasoning(item: Json, path: string): void {
    const summary = optional(item.summary, `${path}.summary`, list) ?? [];
    const content = optional(item.content, `${path}.content`, list) ?? [];
    const thought = [...summary, ...content]
      .map((part, i) => text(object(part, `${path}.${i}`).text, `${path}.${i}.text`))
      .filter((piece) => piece !== '')
      .join('\n\n');
    const encrypted = optional(item.encrypted_content, `${path}.encrypted_content`, text) ?? '';
    const seal = encrypted === '' ? undefined : readSeal(encrypted, item.id, 'openai');
    if (seal?.callId !== undefined) this.#callSeals.set(seal.callId, seal.sealed);
    else if (seal !== undefined) {
      const { sealed, redacted } = seal;
      this.add('assistant', [{ type: 'thinking', text: thought, sealed, ...(redacted && { redacted }) }]);
    } else if (thought !== '') this.add('assistant', [{ type: 'thinking', text: thought }]);
  }

  #output(output: unknown, path: string): ToolResultBlock['content'] {
    if (typeof output === 'string') return [{ type: 'text', text: output }];
    const content: (TextBlock | ImageBlock | FileBlock)[] = [];
    for (const part of this.#parts(output, path)) {
      if (part.type === 'audio') this.only.push('input.function_call_output.audio');
      else content.push(part);
    }
    return content;
  }

  #parts(content: unknown, path: string): Part[] {
    if (typeof content === 'string') return [{ type: 'text', text: content }];
    const parts: Part[] = [];
    if (!Array.isArray(content)) refuse(path, 'must be a text or a list of parts');
    for (const [i, value] of content.entries()) {
      const part = this.#part(object(value, `${path}.${i}`), `${path}.${i}`);
      if (part !== undefined) parts.push(part);
    }
    return parts;
  }

  #part(part: Json, path: string): Part | undefined {
    const cache = cacheOf(part);
    switch (part.type) {
      case 'input_text':
      case 'output_text':
      case 'text':
        return { type: 'text', text: text(part.text, `${path}.text`), ...cache };
      case 'refusal':
        return { type: 'text', text: text(part.refusal, `${path}.refusal`) };
      case 'input_image': {
        const detail = optional(part.detail, `${path}.detail`, (value, at) =>
          oneOf(value, ['low', 'high', 'auto', 'original'] as const, at),
        );
        const source = sourceOf(part, 'image_url', undefined, path);
        return { type: 'image', source, ...(detail && { detail: detail === 'original' ? 'high' : detail }), ...cache };
      }
      case 'input_file': {
        const name = optional(part.filename, `${path}.filename`, text);
        const source = sourceOf(part, 'file_url', 'file_data', path);
        return { type: 'file', source, ...(name !== undefined && { name }), ...cache };
      }
      case 'input_audio': {
        const { data, format } = object(part.input_audio, `${path}.input_audio`);
        const at = `${path}.input_audio`;
        return { type: 'audio', data: text(data, `${at}.data`), format: text(format, `${at}.format`) };
      }
      default:
        this.only.push(`input.${text(part.type, `${path}.type`).slice(0, 40)}`);
        return undefined;
    }
  }
}

/** A custom tool takes a bare text: in other protocols it is a function of this one argument. */
export const customArguments = (input: string): string => JSON.stringify({ input });

const cacheOf = (part: Json): { cache?: CacheMark } => (isObject(part.prompt_cache_breakpoint) ? { cache: {} } : {});

const DATA_URL = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w=.+-]+)*;base64,/;

function sourceOf(part: Json, urlField: string, dataField: string | undefined, path: string): Source {
  const fileId = optional(part.file_id, `${path}.file_id`, text);
  if (fileId !== undefined) return { kind: 'file', fileId };
  const data = dataField === undefined ? undefined : optional(part[dataField], `${path}.${dataField}`, text);
  const url = data ?? optional(part[urlField], `${path}.${urlField}`, text);
  if (url === undefined) refuse(path, `needs ${dataField === undefined ? '' : `${dataField}, `}${urlField} or file_id`);
  const head = DATA_URL.exec(url);
  if (head !== null) return { kind: 'base64', mediaType: head[1]!, data: url.slice(head[0].length) };
  if (data !== undefined) return { kind: 'base64', mediaType: mediaTypeOf(part.filename), data };
  if (url.startsWith('data:')) refuse(`${path}.${urlField}`, 'is a data URL that is not in base64');
  return { kind: 'url', url };
}

const BY_ENDING: Readonly<Record<string, string>> = { txt: 'text/plain', md: 'text/markdown', csv: 'text/csv' };

/** Bare base64 says nothing of its type; a PDF is what nearly all files are. */
function mediaTypeOf(filename: unknown): string {
  const ending = typeof filename === 'string' ? filename.split('.').at(-1)!.toLowerCase() : '';
  return Object.hasOwn(BY_ENDING, ending) ? BY_ENDING[ending]! : 'application/pdf';
}
