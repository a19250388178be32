/** What of a JSON Schema a guardrail cannot check: said when the rule is read, so that nothing is silently unchecked. */
import { createRequire } from 'node:module';

const MAX_CHARS = 50_000;
const MAX_DEPTH = 40;
const MAX_NODES = 2000;

/** Those whose checking would run a regular expression of the rule's, or compare everything with everything. */
const UNCHECKED = ['pattern', 'patternProperties', 'uniqueItems'];
/** Those that name a schema, or another place to look for one. */
const NAMES = ['$id', '$anchor', '$dynamicRef', '$dynamicAnchor', '$recursiveRef', '$recursiveAnchor', '$vocabulary'];

/** Keywords whose value is data, or names of properties, and no schema. */
const DATA = new Set(['const', 'enum', 'default', 'examples', 'required', 'dependentRequired']);
const MAPS = new Set(['properties', '$defs', 'definitions', 'dependentSchemas']);

/** @returns why it cannot be a guardrail's, for people; null: it can */
export function schemaFault(schema: Readonly<Record<string, unknown>>): string | null {
  try {
    if (JSON.stringify(schema).length > MAX_CHARS) return `a schema may have ${MAX_CHARS} characters at most`;
  } catch {
    return 'not a JSON Schema';
  }
  const seen = { nodes: 0 };
  return faultOf(schema, '', 0, seen) ?? grammarFault(schema);
}

function faultOf(node: unknown, path: string, depth: number, seen: { nodes: number }): string | null {
  if (Array.isArray(node)) return first(node.entries(), (item, i) => faultOf(item, `${path}/${i}`, depth + 1, seen));
  if (typeof node !== 'object' || node === null) return null;
  if (depth > MAX_DEPTH) return `a schema may be ${MAX_DEPTH} levels deep at most`;
  if (++seen.nodes > MAX_NODES) return `a schema may have ${MAX_NODES} parts at most`;
  for (const name of [...UNCHECKED, ...NAMES]) {
    if (Object.hasOwn(node, name)) return `${path}/${name}: ${name} is not checked here: leave it out`;
  }
  const { $ref } = node as { $ref?: unknown };
  if ($ref !== undefined && !(typeof $ref === 'string' && $ref.startsWith('#'))) {
    return `${path}/$ref: only places in this schema (#/…) can be referred to`;
  }
  return first(Object.entries(node), (value, name) => {
    if (DATA.has(name)) return null;
    const at = `${path}/${name}`;
    if (!MAPS.has(name)) return faultOf(value, at, depth + 1, seen);
    if (typeof value !== 'object' || value === null) return null;
    return first(Object.entries(value), (item, key) => faultOf(item, `${at}/${key}`, depth + 2, seen));
  });
}

function first<K>(entries: Iterable<[K, unknown]>, fault: (value: unknown, key: K) => string | null): string | null {
  for (const [key, value] of entries) {
    const found = fault(value, key);
    if (found !== null) return found;
  }
  return null;
}

/** Whether the engine takes it: a misspelt type, a reference to nothing. */
function grammarFault(schema: Readonly<Record<string, unknown>>): string | null {
  // Loaded with the first such rule: most gateways have none.
  const { Ajv2020 } = createRequire(import.meta.url)('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
  const ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false });
  try {
    ajv.compile(schema);
    return null;
  } catch (error) {
    return `not a JSON Schema: ${error instanceof Error ? error.message.slice(0, 300) : 'it cannot be compiled'}`;
  }
}
