/**
 * A client's JSON Schema → a test of values, within bounds: nothing is fetched, no regular expression of the client's
 * is run, and a test that takes too many steps is given up. Compiled once per schema.
 */
import { createHash } from 'node:crypto';
import type { Ajv2020 } from 'ajv/dist/2020.js';

/** True: it fits. False: it does not. Null: the schema, or this value, is beyond what is checked here. */
export type SchemaTest = (value: unknown) => boolean | null;

const MAX_SCHEMA_CHARS = 100_000;
const MAX_DEPTH = 60;
const MAX_SUBSCHEMAS = 2000;
/** Subschemas applied in one test: recursion without it can take for ever. */
const MAX_STEPS = 20_000;
const MOST_KEPT = 200;

/** Oldest use first. */
const kept = new Map<string, Promise<SchemaTest>>();

/** @returns a test that knows nothing (`null` to every value) for a schema that is none, or too much */
export async function schemaTest(schema: Readonly<Record<string, unknown>>): Promise<SchemaTest> {
  let text: string;
  try {
    text = JSON.stringify(schema);
  } catch {
    return unknown;
  }
  if (text.length > MAX_SCHEMA_CHARS) return unknown;
  const key = createHash('sha256').update(text).digest('base64');
  const test = kept.get(key) ?? compiled(schema);
  kept.delete(key);
  kept.set(key, test);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
  return test;
}

const unknown: SchemaTest = () => null;

async function compiled(schema: Readonly<Record<string, unknown>>): Promise<SchemaTest> {
  const bounded = boundedSchema(schema);
  if (bounded === null) return unknown;
  engine ??= makeEngine();
  const { ajv, allow } = await engine;
  try {
    const validate = ajv.compile(bounded as object);
    return (value) => {
      allow(MAX_STEPS);
      try {
        return validate(value) as boolean;
      } catch {
        return null;
      }
    };
  } catch {
    return unknown;
  } finally {
    // Its own cache would keep every schema there ever was.
    ajv.removeSchema(bounded as object);
  }
}

/** Counts the subschemas applied. */
const STEP = 'x-pointsman-step';

let engine: Promise<{ ajv: Ajv2020; allow: (steps: number) => void }> | undefined;

async function makeEngine() {
  // Loaded when the first schema is met: it takes its while, and most gateways never need it.
  const { Ajv2020 } = await import('ajv/dist/2020.js');
  let left = 0;
  const ajv = new Ajv2020({
    strict: false,
    validateFormats: false,
    addUsedSchema: false,
    inlineRefs: false,
    logger: false,
  });
  ajv.addKeyword({
    keyword: STEP,
    // First of all keywords: one that fails ends a subschema before those behind it.
    before: '$ref',
    errors: false,
    validate: () => {
      if (--left < 0) throw new RangeError('too many steps');
      return true;
    },
  });
  return {
    ajv,
    allow: (steps: number) => {
      left = steps;
    },
  };
}

const ONE = ['not', 'if', 'then', 'else', 'contains', 'propertyNames', 'additionalProperties', 'items'];
const ONE_MORE = ['unevaluatedProperties', 'unevaluatedItems', 'contentSchema'];
const LIST = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const MAP = ['properties', '$defs', 'definitions', 'dependentSchemas'];
const SINGLE = new Set([...ONE, ...ONE_MORE]);
/** Left out: the client's regular expressions, what compares every item with every other, and names for the schema itself. */
const DROPPED = new Set(['pattern', 'format', 'uniqueItems', '$id', '$schema', '$anchor', '$comment']);
/** What cannot be left out without changing what the rest means, or points who knows where. */
const REFUSED = ['patternProperties', '$dynamicRef', '$dynamicAnchor', '$recursiveRef', '$vocabulary'];

class Beyond extends Error {}

/** The schema with a step counted in every subschema; null where it is beyond the bounds. */
function boundedSchema(schema: Readonly<Record<string, unknown>>): object | null {
  let left = MAX_SUBSCHEMAS;
  const walk = (node: unknown, depth: number): unknown => {
    if (typeof node === 'boolean') return node;
    if (typeof node !== 'object' || node === null || Array.isArray(node) || depth > MAX_DEPTH || --left < 0) {
      throw new Beyond();
    }
    const fields = node as Record<string, unknown>;
    if (REFUSED.some((name) => Object.hasOwn(fields, name))) throw new Beyond();
    const { $ref } = fields;
    if ($ref !== undefined && !(typeof $ref === 'string' && $ref.startsWith('#'))) throw new Beyond();
    const out: Record<string, unknown> = { [STEP]: true };
    for (const [name, value] of Object.entries(fields)) {
      if (DROPPED.has(name) || name === STEP) continue;
      out[name] = SINGLE.has(name)
        ? walk(value, depth + 1)
        : LIST.includes(name)
          ? listOf(value, (item) => walk(item, depth + 1))
          : MAP.includes(name)
            ? mapOf(value, (item) => walk(item, depth + 1))
            : value;
    }
    return out;
  };
  try {
    return walk(schema, 0) as object;
  } catch (error) {
    if (error instanceof Beyond) return null;
    throw error;
  }
}

function listOf(value: unknown, use: (item: unknown) => unknown): unknown[] {
  if (!Array.isArray(value)) throw new Beyond();
  return value.map(use);
}

function mapOf(value: unknown, use: (item: unknown) => unknown): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Beyond();
  // Properties may have any name, `__proto__` included.
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, use(item)]));
}
