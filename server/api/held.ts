/** Which provider-held objects a request goes on with, and which ones its answer leaves behind: only for their own tenant. */
import { RoutingError } from '../../datasets/index.ts';
import type { Caller } from '../callers.ts';
import type { Target } from '../forward/target.ts';
import { isObject } from '../forward/usage.ts';
import type { Gateway } from '../gateway.ts';
import { textsIn } from '../governance/guards/json-texts.ts';
import { holderPlace, mustAllow } from '../governance/policies/place.ts';
import { accountOf, type HeldObject } from '../held-objects.ts';
import type { Frame, SurfaceName } from '../protocols/protocol.ts';
import { type HeldId, heldIdsOf, idsOfInput, idsOfItem, outputIdOf } from '../protocols/responses/index.ts';
import { FieldError } from './errors.ts';
import { refuseMisspelt } from './misspelt-ids.ts';
import { SEEN } from './seen-files.ts';

type Json = Readonly<Record<string, unknown>>;

/** Where a request must go. */
export interface HeldBy {
  readonly account: string;
  /** The model that the conversation was with; null where only files are referred to. */
  readonly model: string | null;
  /** The client's field that says so. */
  readonly field: string;
  /** Ids of the files among what is referred to. */
  readonly files: readonly string[];
}

/** `passed`: goes to its provider as it is, and can refer to files alone. */
export type HoldingSurface = SurfaceName | 'passed';

/** @throws `NOT_FOUND` naming the field of an id that the tenant does not hold; FieldError for objects of several holders */
export async function heldBy(
  gateway: Gateway,
  surface: HoldingSurface,
  {
    text,
    json,
    whole = json,
    caller,
  }: {
    readonly text: string;
    readonly json: Json;
    /** What `text` says, where that is more than `json`. */
    readonly whole?: Json;
    readonly caller: Caller;
  },
): Promise<HeldBy | undefined> {
  const isShared = gateway.setup.callers.tenants > 1;
  if (isShared || gateway.governance.guards.mindsUnseen(caller)) refuseMisspelt(whole, { isLine: whole !== json });
  const ids = idsIn(surface, text, json);
  // Made beside this gateway, so nobody here holds them: with several tenants on one key they could be anybody's.
  if (isShared) {
    refuseHidden(text, whole);
    ids.push(...madeElsewhere(surface, json));
    if (surface === 'responses') await mustHold(gateway, caller, idsOfInput(json));
  }
  if (ids.length === 0) return undefined;
  const found = await Promise.all(ids.map(async (one) => ({ ...one, object: await heldAs(gateway, caller, one) })));
  const first = found[0]!;
  const other = found.find(({ object }) => object.deployment !== first.object.deployment);
  if (other !== undefined) {
    throw new FieldError(
      other.field,
      `is held by ${other.object.deployment}, but ${first.field} by ${first.object.deployment}; no provider has both`,
    );
  }
  // Nobody else can go on with it, so a rule against its holder is the answer.
  const holder = gateway.setup.providers.get(first.object.provider);
  if (holder !== undefined) mustAllow(caller.rules, holderPlace(holder));
  const model = found.find(({ object }) => object.model !== null)?.object.model ?? null;
  const files = found.flatMap(({ id, object }) => (object.kind === 'file' ? [id] : []));
  return { account: first.object.deployment, model, field: first.field, files };
}

/** Of these places, those where a request can go on with what is held: the same key, in the client's own protocol. */
export const heldAmongTargets = (held: HeldBy, surface: SurfaceName, targets: readonly Target[]): Target[] =>
  targets.filter(
    ({ provider, credential, upstreamModel }) =>
      accountOf(provider, credential) === held.account && provider.protocolFor(surface, upstreamModel) === surface,
  );

export const heldElsewhere = ({ field, account }: HeldBy, model: string): FieldError =>
  new FieldError(field, `is held by ${account}, which ${model} cannot go on with`);

/** @throws `NOT_FOUND` for an id that the tenant does not hold, or not as one of these kinds */
export async function heldAs(
  gateway: Gateway,
  { tenant }: Caller,
  { id, field }: HeldId,
  kinds?: readonly string[],
): Promise<HeldObject> {
  const object = await gateway.held.find(tenant, id);
  if (object !== null && (kinds === undefined ? object.kind !== SEEN : kinds.includes(object.kind))) return object;
  throw notHeld({ id, field });
}

/**
 * Items tell where they come from, which need not be where the request goes: they bind it to no provider.
 * @throws `NOT_FOUND` for the first id that the tenant does not hold
 */
async function mustHold(gateway: Gateway, { tenant }: Caller, ids: readonly HeldId[]): Promise<void> {
  if (ids.length === 0) return;
  const held = await gateway.held.among(tenant, [...new Set(ids.map(({ id }) => id))]);
  const other = ids.find(({ id }) => !held.has(id));
  if (other !== undefined) throw notHeld(other);
}

function notHeld({ id, field }: HeldId): RoutingError {
  const shown = id.length <= 100 ? id : `${id.slice(0, 100)}…`;
  return new RoutingError('NOT_FOUND', `${field}: nothing is held here under ${shown}`);
}

function idsIn(surface: HoldingSurface, text: string, json: Json): HeldId[] {
  if (surface === 'embeddings') return [];
  // Few requests refer to a file; the others need not be searched. An escape may stand for any letter of it.
  const files = /"file_id|\\u/.test(text) ? [...fileIdsIn(json, '')] : [];
  const all = surface === 'responses' ? [...heldIdsOf(json), ...files] : files;
  return [...new Map(all.map((one) => [one.id, one])).values()];
}

/** Vector stores, containers, stored prompts and spoken answers: their ids are all that it takes to read them. */
function madeElsewhere(surface: HoldingSurface, json: Json): HeldId[] {
  const found: HeldId[] = [];
  const note = (id: unknown, field: string) => {
    if (typeof id === 'string' && id !== '' && id !== 'auto') found.push({ id, field });
  };
  if (surface === 'messages') note(isObject(json.container) ? json.container.id : json.container, 'container');
  if (surface === 'responses') {
    note(isObject(json.prompt) ? json.prompt.id : undefined, 'prompt.id');
    for (const [tool, at] of toolsIn(json)) {
      const stores: unknown[] = Array.isArray(tool.vector_store_ids) ? tool.vector_store_ids : [];
      for (const [i, id] of stores.entries()) note(id, `${at}.vector_store_ids.${i}`);
      note(tool.container, `${at}.container`);
      if (isObject(tool.environment)) note(tool.environment.container_id, `${at}.environment.container_id`);
    }
  }
  if (surface === 'chat') {
    for (const [message, at] of objectsOf(json.messages, 'messages')) {
      if (isObject(message.audio)) note(message.audio.id, `${at}.audio.id`);
    }
  }
  return found;
}

/** Members that name something which is held. */
const NAMING = new Set<string | number | undefined>([
  ...['id', 'file_id', 'file_ids', 'container', 'container_id', 'vector_store_ids', 'approval_request_id'],
  ...['previous_response_id', 'conversation'],
]);

/**
 * Of members of one name a parser takes the last, and another one the first: an id in the one that is not seen here
 * would be looked up all the same. @throws FieldError
 */
function refuseHidden(text: string, json: Json): void {
  if (!/file_id|container|vector_store|item_reference|approval_request|\\u00/.test(text)) return;
  let written = 0;
  const names = (path: readonly (string | number)[]) => NAMING.has(path.findLast((step) => typeof step === 'string'));
  for (const one of textsIn(text, (path, literal) => (literal[0] === '"' && names(path) ? true : null))) {
    if (one !== null) written++;
  }
  if (written > namingIn(json)) {
    throw new FieldError('body', 'an object in it has two members of one name, of which one holds an id');
  }
}

/** Strings under such members. */
function namingIn(value: unknown, isNamed = false): number {
  if (typeof value === 'string') return isNamed ? 1 : 0;
  let count = 0;
  if (Array.isArray(value)) for (const item of value) count += namingIn(item, isNamed);
  else if (isObject(value)) for (const name of Object.keys(value)) count += namingIn(value[name], NAMING.has(name));
  return count;
}

/** Those of the request, and those that items bring along. */
function* toolsIn({ tools, input }: Json): Iterable<[Json, string]> {
  yield* objectsOf(tools, 'tools');
  for (const [item, at] of objectsOf(input, 'input')) yield* objectsOf(item.tools, `${at}.tools`);
}

function* objectsOf(list: unknown, path: string): Iterable<[Json, string]> {
  if (!Array.isArray(list)) return;
  for (const [i, value] of list.entries()) if (isObject(value)) yield [value, `${path}.${i}`];
}

/** Deeper than any request that means what it says. */
const MAX_DEPTH = 12;

/** `file_id` and `file_ids` where protocols have them: in the parts of turns, and in what tools are given to work on. */
function* fileIdsIn(value: unknown, path: string, depth = 0): Iterable<HeldId> {
  if (depth > MAX_DEPTH) return;
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) yield* fileIdsIn(item, join(path, i), depth + 1);
    return;
  }
  if (!isObject(value) || isTold(value)) return;
  for (const [key, item] of Object.entries(value)) {
    const at = join(path, key);
    if (key === 'file_id' && typeof item === 'string') yield { id: item, field: at };
    else if (key === 'file_ids' && Array.isArray(item)) {
      for (const [i, id] of item.entries()) if (typeof id === 'string') yield { id, field: join(at, i) };
    } else if (!OWN_WORDS.has(key)) yield* fileIdsIn(item, at, depth + 1);
  }
}

/** What a model wrote, or a provider's own tool: a file named in it is not read again. */
const isTold = ({ type }: Json): boolean =>
  typeof type === 'string' && (/tool_use$|\w_tool_result$|_call$/.test(type) || type === 'output_text');

/** Schemas and labels: whatever names they hold are the client's own. */
const OWN_WORDS: ReadonlySet<string> = new Set([
  'parameters',
  'input_schema',
  'schema',
  'function',
  'response_format',
  'metadata',
  'citations',
]);

const join = (path: string, step: string | number): string => (path === '' ? String(step) : `${path}.${step}`);

/** Notes what a native Responses provider keeps of its answer, as it goes by. */
export interface AnswerWatch {
  frame(frame: Frame): void;
  answer(text: string): void;
  /** Resolves when every replica can know. */
  noted(): Promise<void>;
}

/** Null where nothing can be kept: another protocol, or the sandbox. */
export function watchAnswer(
  gateway: Gateway,
  { surface, json, caller }: { readonly surface: SurfaceName; readonly json: Json; readonly caller: Caller },
  target: Target,
): AnswerWatch | null {
  const { provider, upstreamModel } = target;
  if (surface !== 'responses' || provider.sandbox) return null;
  if (provider.protocolFor(surface, upstreamModel) !== 'responses') return null;
  // Of an answer that is not stored only what its items name is noted: several tenants may send back their own alone.
  const mayBeKept = json.store !== false;
  if (!mayBeKept && gateway.setup.callers.tenants <= 1) return null;
  const noting: Promise<void>[] = [];
  let isKept = false;
  const note = (kind: string, ids: readonly unknown[]) => {
    const objects = [...new Set(ids)].flatMap((id) =>
      typeof id === 'string' && id !== '' ? [heldAt(target, caller, kind, id)] : [],
    );
    if (objects.length > 0) noting.push(gateway.held.hold(objects));
  };
  const noteItem = (item: unknown) => {
    if (isObject(item)) note('item', idsAnswered(item, isKept));
  };
  const see = (payload: Json) => {
    const { type } = payload;
    if (type === 'response.output_item.done') {
      noteItem(payload.item);
      return;
    }
    const id = mayBeKept ? outputIdOf(payload) : null;
    if (id !== null) {
      isKept = true;
      note('response', [id]);
    }
    // Later turns may name single items of an answer in place of all of it.
    if (type === undefined && Array.isArray(payload.output)) payload.output.forEach(noteItem);
  };
  return {
    frame({ data }) {
      if (/"response\.(created|output_item\.done)"/.test(data)) see(objectIn(data));
    },
    answer: (text) => see(objectIn(text)),
    noted: async () => void (await Promise.all(noting)),
  };
}

/** Ids that a client may come back with once it was given this item. */
export const idsAnswered = (item: Json, isKept: boolean): string[] => [
  ...(isKept && typeof item.id === 'string' ? [item.id] : []),
  ...idsOfItem(item, '').map(({ id }) => id),
];

export const heldAt = (target: Target, { tenant }: Caller, kind: string, id: string): HeldObject => ({
  id,
  kind,
  tenant,
  provider: target.provider.name,
  deployment: accountOf(target.provider, target.credential),
  model: target.upstreamModel === '' ? null : target.id,
  createdAt: new Date(),
});

function objectIn(text: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
