/** Objects that a provider holds: which one an answer is, and which ones a request refers to. */
import { isObject } from '../../forward/usage.ts';
import { isOurReasoning } from './seals.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * The id under which the provider keeps this answer; null where it keeps none.
 *
 * @param json a whole answer, or the event `response.created`
 */
export function outputIdOf(json: Json): string | null {
  const response = isObject(json.response) ? json.response : json;
  return typeof response.id === 'string' && response.store !== false ? response.id : null;
}

export interface HeldId {
  readonly id: string;
  /** Path of the field that names it. */
  readonly field: string;
}

/** Ids of responses, conversations, items and files that only the provider that holds them knows. */
export function heldIdsOf(json: Json): HeldId[] {
  const held: HeldId[] = [];
  const note = (id: unknown, field: string) => {
    if (typeof id === 'string' && id !== '') held.push({ id, field });
  };
  note(json.previous_response_id, 'previous_response_id');
  note(isObject(json.conversation) ? json.conversation.id : json.conversation, 'conversation');
  for (const [item, path] of objectsIn(json.input, 'input')) {
    if (item.type === 'item_reference' || (item.type == null && !('role' in item))) note(item.id, `${path}.id`);
    for (const field of ['content', 'output']) {
      for (const [part, at] of objectsIn(item[field], `${path}.${field}`)) note(part.file_id, `${at}.file_id`);
    }
  }
  return held;
}

/**
 * Ids of an item, whoever wrote it, by which a provider may look up what it holds: its own, unless all that it means is
 * in the item itself, and those of containers, files and approvals that it names. What is checked of an item that comes
 * back is what was noted of it when it went out.
 */
export function idsOfItem(item: Json, path: string): HeldId[] {
  const ids: HeldId[] = [];
  if (typeof item.id === 'string' && item.id !== '' && !bearsItself(item))
    ids.push({ id: item.id, field: `${path}.id` });
  ids.push(...namedIn(item, path, 0));
  return ids;
}

/** The same of all items of a request. */
export const idsOfInput = ({ input }: Json): HeldId[] =>
  [...objectsIn(input, 'input')].flatMap(([item, path]) => idsOfItem(item, path));

/**
 * Turns, and calls that the client itself runs: the provider reads what they say. What it ran itself, drew or thought
 * is there by its id, whatever else the item says: a reasoning item's summary is not its thoughts.
 */
function bearsItself(item: Json): boolean {
  const type = item.type ?? ('role' in item ? 'message' : undefined);
  if (type === 'reasoning' && isOurReasoning(item)) return true;
  if (typeof type !== 'string') return false;
  const fields = /_output$/.test(type) ? OUTPUT : Object.hasOwn(BEARING, type) ? BEARING[type]! : [];
  return fields.some((field) => isSaid(item[field]) || (item[field] === '' && MAY_BE_EMPTY.has(field)));
}

const OUTPUT: readonly string[] = ['output', 'tools', 'result'];
const BEARING: Readonly<Record<string, readonly string[]>> = {
  message: ['content'],
  additional_tools: ['tools'],
  function_call: ['arguments'],
  custom_tool_call: ['input'],
  local_shell_call: ['action'],
  shell_call: ['action'],
  apply_patch_call: ['operation'],
  computer_call: ['action', 'actions'],
  reasoning: ['encrypted_content'],
  compaction: ['encrypted_content'],
};
/** A call may have nothing to say: of a function without arguments, and an output may be empty. */
const MAY_BE_EMPTY: ReadonlySet<string> = new Set(['arguments', 'input', 'output', 'result']);

function isSaid(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return typeof value === 'string' ? value !== '' : isObject(value);
}

const NAMING: ReadonlySet<string> = new Set(['container_id', 'approval_request_id', 'file_id']);
/** What the client or its tools call so, and what a text cites: none of it is looked up. */
const NOT_READ: ReadonlySet<string> = new Set([
  ...['annotations', 'parameters', 'input_schema', 'attributes', 'metadata', 'env'],
]);
/** Deeper than any item that means what it says. */
const MAX_DEPTH = 12;

function* namedIn(value: unknown, path: string, depth: number): Iterable<HeldId> {
  if (depth > MAX_DEPTH) return;
  if (Array.isArray(value)) {
    for (const [i, one] of value.entries()) yield* namedIn(one, `${path}.${i}`, depth + 1);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, one] of Object.entries(value)) {
    const at = `${path}.${key}`;
    if (typeof one === 'string') {
      if (NAMING.has(key) && one !== '') yield { id: one, field: at };
    } else if (key === 'file_ids' && Array.isArray(one)) {
      for (const [i, id] of one.entries()) if (typeof id === 'string' && id !== '') yield { id, field: `${at}.${i}` };
    } else if (!NOT_READ.has(key)) yield* namedIn(one, at, depth + 1);
  }
}

function* objectsIn(list: unknown, path: string): Iterable<[Json, string]> {
  if (!Array.isArray(list)) return;
  for (const [i, value] of list.entries()) if (isObject(value)) yield [value, `${path}.${i}`];
}
