/** A client's JSON Schema as Gemini takes it under `parametersJsonSchema` and `responseJsonSchema`. */
import { isObject } from '../../forward/usage.ts';
import { Untranslatable } from '../protocol.ts';

type Schema = Readonly<Record<string, unknown>>;

/** Deeper than any schema written by hand, and far from the end of the stack. */
const MAX_DEPTH = 64;

const MAPS = new Set(['properties', '$defs', 'definitions', 'patternProperties', 'dependentSchemas']);
const LISTS = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems']);
const SINGLE = new Set(['items', 'additionalProperties', 'not', 'contains', 'propertyNames']);

/**
 * Both fields take real JSON Schema (`additionalProperties`, `$defs`, unions), unlike the older `parameters` with its
 * few OpenAPI words, so next to nothing must change: `$schema` goes, and a `$ref`, which may have nothing but
 * `$` words beside it, moves into an `anyOf` of one where it has. Words that Gemini does not heed are left in.
 *
 * @param field the client's field, for the error
 * @throws {@link Untranslatable} for a schema nested too deep
 */
export function geminiSchema(schema: Schema, field: string, depth = 0): Record<string, unknown> {
  if (depth > MAX_DEPTH) throw new Untranslatable(field, `a JSON Schema is nested deeper than ${MAX_DEPTH} levels`);
  const inner = (value: unknown): unknown => (isObject(value) ? geminiSchema(value, field, depth + 1) : value);
  const written: Record<string, unknown> = {};
  for (const [word, value] of Object.entries(schema)) {
    if (word === '$schema') continue;
    if (MAPS.has(word) && isObject(value)) {
      written[word] = Object.fromEntries(Object.entries(value).map(([name, of]) => [name, inner(of)]));
    } else if (LISTS.has(word) && Array.isArray(value)) written[word] = value.map(inner);
    else if (SINGLE.has(word)) written[word] = Array.isArray(value) ? value.map(inner) : inner(value);
    else written[word] = value;
  }
  const { $ref, ...beside } = written;
  if ($ref === undefined || Object.keys(beside).every((word) => word.startsWith('$')) || 'anyOf' in beside) {
    return written;
  }
  return { ...beside, anyOf: [{ $ref }] };
}

const WORDS_OF_NOTHING = new Set([
  '$schema',
  'type',
  'properties',
  'required',
  'additionalProperties',
  'title',
  'description',
]);

/** An object without properties: such a function is declared without parameters. */
export function takesNothing(schema: Schema): boolean {
  const { properties, additionalProperties } = schema;
  return (
    Object.keys(schema).every((word) => WORDS_OF_NOTHING.has(word)) &&
    (properties === undefined || (isObject(properties) && Object.keys(properties).length === 0)) &&
    (additionalProperties === undefined || additionalProperties === false)
  );
}
