/**
 * The messages of a chat request on their way to a host that speaks the same protocol: the client's own text, but for
 * what this host would refuse or must not see. That is reasoning that another maker sealed, and, where the router chose
 * the host, what its client could not know to phrase otherwise.
 */
import { editItems, editMembers, memberText, withoutMember } from '../../forward/edit-json.ts';
import { isObject } from '../../forward/usage.ts';
import type { Dialect } from '../protocol.ts';
import { isSealedByAnother } from './reasoning-details.ts';
import { toolId } from './request-write.ts';

type Fields = Readonly<Record<string, unknown>>;

/** @returns the member `messages` as it should be; undefined: as it is */
export function messagesForHost(
  text: string,
  messages: unknown,
  dialect: Dialect,
  routed: boolean,
): string | undefined {
  if (!Array.isArray(messages)) return undefined;
  const changes = messages.map((message) => (isObject(message) ? changesFor(message, dialect, routed) : NONE));
  // Most requests need nothing, and their text is not taken apart for it.
  if (changes.every((change) => change.length === 0)) return undefined;
  return editItems(memberText(text, 'messages')!, (message, i) =>
    changes[i]!.reduce((t, change) => change(t), message),
  );
}

/** What is done to a message's text. */
type Change = (message: string) => string;
const NONE: readonly Change[] = [];

const remove =
  (field: string): Change =>
  (message) =>
    withoutMember(message, field);
const set =
  (field: string, json: string): Change =>
  (message) =>
    editMembers(message, { [field]: json });
const editEach =
  (field: string, edit: (item: string, index: number) => string): Change =>
  (message) =>
    editMembers(message, { [field]: editItems(memberText(message, field)!, edit) });

function changesFor(message: Fields, dialect: Dialect, routed: boolean): readonly Change[] {
  const unsealed = dialect.reasoningDetails === true ? NONE : withoutForeign(message, dialect);
  return routed ? [...unsealed, ...adapted(message, dialect)] : unsealed;
}

function withoutForeign(
  { reasoning_details: details, reasoning_content: thought }: Fields,
  dialect: Dialect,
): readonly Change[] {
  if (!Array.isArray(details)) return NONE;
  const kept = details.filter((detail) => !isSealedByAnother(detail, dialect.maker));
  if (kept.length === details.length) return NONE;
  const changes = [kept.length === 0 ? remove('reasoning_details') : set('reasoning_details', JSON.stringify(kept))];
  // The same thoughts in the open: this host's model did not think them.
  if (thought !== undefined && dialect.returnsReasoning !== true) changes.push(remove('reasoning_content'));
  return changes;
}

/** For a host that the router chose. */
function adapted(
  { role, content, tool_calls: calls, tool_call_id: callId, ...rest }: Fields,
  dialect: Dialect,
): Change[] {
  const changes: Change[] = [];
  if (role === 'developer' && dialect.systemRole !== 'developer') changes.push(set('role', '"system"'));
  if (role === 'assistant' && dialect.returnsReasoning === true && rest.reasoning_content == null) {
    // DeepSeek asks for it of every turn, also of those of other models.
    changes.push(set('reasoning_content', '""'));
  }
  // Cursor's way of saying nothing beside its calls, which OpenAI refuses.
  if (role === 'assistant' && Array.isArray(content) && content.length === 0) changes.push(set('content', 'null'));
  const another = (id: unknown) =>
    typeof id === 'string' && toolId(id, dialect) !== id ? toolId(id, dialect) : undefined;
  const resultOf = another(callId);
  if (resultOf !== undefined) changes.push(set('tool_call_id', JSON.stringify(resultOf)));
  if (Array.isArray(calls) && calls.some((call) => isObject(call) && another(call.id) !== undefined)) {
    const renamed = (call: string, i: number) => {
      const id = isObject(calls[i]) ? another(calls[i].id) : undefined;
      return id === undefined ? call : editMembers(call, { id: JSON.stringify(id) });
    };
    changes.push(editEach('tool_calls', renamed));
  }
  if (dialect.cacheMarks === true || dialect.reasoningDetails === true) return changes;
  if ('cache_control' in rest) changes.push(remove('cache_control'));
  const isMarked = (part: unknown) => isObject(part) && 'cache_control' in part;
  if (Array.isArray(content) && content.some(isMarked)) {
    const unmarked = (part: string, i: number) => (isMarked(content[i]) ? withoutMember(part, 'cache_control') : part);
    changes.push(editEach('content', unmarked));
  }
  return changes;
}
