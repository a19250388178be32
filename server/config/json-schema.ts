/** The schema of `pointsman.yaml` for editors: what they complete, explain and underline. */
import { z } from 'zod';
import { GatewayConfig } from './schema.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** What the file may say in place of any text; the gateway puts the variable's value in before it checks. */
const PLACEHOLDER: JsonSchema = { type: 'string', pattern: '\\$\\{\\w+(:-[^}]*)?\\}' };

/** Keywords that a placeholder could break. */
const TEXT_RULES = ['pattern', 'format', 'minLength', 'enum'] as const;
const NUMBER_RULES = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'] as const;
/** No placeholder is shorter. */
const SHORTEST = 4;

/** JSON text, draft 7, which editors know best. */
export function configJsonSchema(): string {
  const schema = z.toJSONSchema(GatewayConfig, {
    io: 'input',
    target: 'draft-7',
    override: ({ jsonSchema, path }) => {
      if (path.at(-1) !== 'propertyNames') allowPlaceholder(jsonSchema);
    },
  });
  const properties = schema.properties as Record<string, JsonSchema>;
  // A heading with nothing under it means: not set.
  for (const [name, option] of Object.entries(properties)) properties[name] = orNull(option);
  const providers = schema.properties!.providers as JsonSchema;
  providers.additionalProperties = orNull(providers.additionalProperties as JsonSchema);
  const { $schema, ...rest } = schema;
  const described = {
    $schema,
    title: 'pointsman.yaml',
    description: 'Options of the Pointsman gateway; all are optional.',
    ...rest,
  };
  return `${JSON.stringify(described, null, 2)}\n`;
}

function allowPlaceholder(schema: JsonSchema): void {
  const { type } = schema;
  const isNumber = type === 'number' || type === 'integer';
  const rules = isNumber ? NUMBER_RULES : TEXT_RULES;
  const isBroken =
    isNumber ||
    (type === 'string' &&
      rules.some((rule) => rule in schema && !(rule === 'minLength' && schema.minLength! <= SHORTEST)));
  if (!isBroken) return;
  const strict: JsonSchema = { type };
  for (const rule of rules) {
    if (rule in schema) Object.assign(strict, { [rule]: schema[rule] });
    delete schema[rule];
  }
  delete schema.type;
  schema.anyOf = [strict, PLACEHOLDER];
}

/** Description and default stay outside, where editors look for them. */
function orNull(schema: JsonSchema): JsonSchema {
  if (typeof schema.type === 'string') return { ...schema, type: [schema.type, 'null'] as never };
  return { ...schema, anyOf: [...(schema.anyOf ?? []), { type: 'null' }] };
}
