/** Objects that a provider holds: which one an answer is, and which ones a request refers to. */
import { isObject } from '../../forward/usage.ts';

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

function* objectsIn(list: unknown, path: string): Iterable<[Json, string]> {
  if (!Array.isArray(list)) return;
  for (const [i, value] of list.entries()) if (isObject(value)) yield [value, `${path}.${i}`];
}
