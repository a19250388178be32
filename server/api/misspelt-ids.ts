/** Members that name what a provider holds, in a spelling that is not ours: some hosts read them whatever their case, so they are refused. */
import { isObject } from '../forward/usage.ts';
import { FieldError } from './errors.ts';

type Json = Readonly<Record<string, unknown>>;

/** By what is left of a name without its case, `_` and `-`. */
const byFolded = (...names: readonly string[]) => new Map(names.map((name) => [folded(name), name]));

/** To hosts that ignore case `ſ` is an s, and the sign of Kelvin a k. */
export const folded = (name: string): string => name.replace(/[_-]/g, '').toUpperCase().toLowerCase();

/** Hold an id, or a list of them. */
const NAMING = byFolded(
  ...['file_id', 'file_ids', 'input_file_id', 'container', 'container_id', 'vector_store_ids', 'approval_request_id'],
  ...['previous_response_id', 'conversation'],
);
/** Stand before such. */
const WAYS = byFolded('environment', 'audio', 'tools');
/** Of a line of a batch. */
const OF_LINE = byFolded('body', 'url', 'method', 'custom_id');
/** An object of these is known by its own `id`. */
const WITH_ID: ReadonlySet<string> = new Set(['input', 'prompt', 'conversation', 'container', 'audio']);
/** Whatever names stand in them are the client's own, or were thought of by a model. */
const OWN: ReadonlySet<string> = new Set([
  ...['parameters', 'input_schema', 'schema', 'function', 'response_format', 'metadata', 'citations', 'annotations'],
  ...['arguments', 'action', 'operation', 'env', 'attributes'],
]);
const LONGEST = 40;
/** Deeper than any request that means what it says. */
const MAX_DEPTH = 12;

/** @throws FieldError for the first of them */
export function refuseMisspelt(json: Json, { isLine = false } = {}): void {
  if (isLine) {
    for (const name of Object.keys(json)) refuse(OF_LINE, name, name);
  }
  look(json, '', false, 0);
}

function look(value: unknown, path: string, hasId: boolean, depth: number): void {
  if (depth > MAX_DEPTH) return;
  if (Array.isArray(value)) {
    for (const [i, one] of value.entries()) {
      if (typeof one === 'object' && one !== null) look(one, join(path, i), hasId, depth + 1);
    }
    return;
  }
  if (!isObject(value)) return;
  for (const [name, one] of Object.entries(value)) {
    if (one == null || OWN.has(name)) continue;
    // What a model has called a tool with.
    if (name === 'input' && typeof value.type === 'string' && /_(?:use|call)$/.test(value.type)) continue;
    const at = join(path, name);
    if (name.length <= LONGEST) {
      if (isNaming(one)) refuse(NAMING, name, at);
      if (typeof one === 'object') refuse(WAYS, name, at);
      if (hasId && name !== 'id' && folded(name) === 'id') throw misspelt(at, 'id');
      // Which of the two it is depends on who reads it.
      if (name !== 'type' && typeof value.type === 'string' && folded(name) === 'type') throw misspelt(at, 'type');
    }
    if (typeof one === 'object') look(one, at, hasId || WITH_ID.has(name), depth + 1);
  }
}

const isNaming = (value: unknown): boolean => typeof value === 'string' || typeof value === 'object';

function refuse(known: ReadonlyMap<string, string>, name: string, at: string): void {
  const ours = known.get(folded(name));
  if (ours !== undefined && ours !== name) throw misspelt(at, ours);
}

const misspelt = (at: string, ours: string): FieldError => new FieldError(at.slice(0, 200), `is spelt ${ours}`);

const join = (path: string, step: string | number): string => (path === '' ? String(step) : `${path}.${step}`);
