/** The schema of one option, found by its path: what it may hold, and what its neighbours are called. */
import type { z } from 'zod';
import type { OptionPath } from './yaml-text.ts';

type Schema = z.core.$ZodTypes;

/** Without its default, `optional` and the like; undefined where no option can be. */
export function schemaAt(root: z.core.$ZodType, path: OptionPath): Schema | undefined {
  let schema = inner(root);
  for (const step of path) {
    if (schema === undefined) return undefined;
    const { def }: Schema['_zod'] = schema._zod;
    if (def.type === 'object') schema = Object.hasOwn(def.shape, step) ? inner(def.shape[step]) : undefined;
    else if (def.type === 'record') schema = inner(def.valueType);
    else if (def.type === 'array') schema = inner(def.element);
    else return undefined;
  }
  return schema;
}

/** Names of the options under a place; none where it holds a value. */
export function optionsAt(root: z.core.$ZodType, path: OptionPath): string[] {
  const def = schemaAt(root, path)?._zod.def;
  return def?.type === 'object' ? Object.keys(def.shape) : [];
}

function inner(schema: z.core.$ZodType | undefined): Schema | undefined {
  let core = schema as Schema | undefined;
  while (core !== undefined && 'innerType' in core._zod.def) core = core._zod.def.innerType as Schema;
  return core;
}
