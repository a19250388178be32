/** LiteLLM's `config.yaml` as it is in the wild: read loosely, since its options are many and change often. */
import { z } from 'zod';
import { RoutingError } from '../../../datasets/index.ts';
import { PLAIN } from '../../../datasets/plain-issues.ts';
import { readYamlText } from '../../config/yaml-text.ts';

const Section = z.record(z.string(), z.unknown());
/** A heading with nothing under it. */
const section = Section.nullish().transform((options) => options ?? {});

export const LiteLlmModel = z.looseObject({
  /** What clients call it. Several entries of one name share the load. */
  model_name: z.string().min(1),
  litellm_params: z.looseObject({ model: z.string().min(1) }),
  model_info: section,
});
export type LiteLlmModel = z.infer<typeof LiteLlmModel>;

const LiteLlmConfig = z.looseObject({
  model_list: z
    .array(LiteLlmModel)
    .nullish()
    .transform((models) => models ?? []),
  router_settings: section,
  litellm_settings: section,
  general_settings: section,
  environment_variables: section,
  credential_list: z
    .array(z.looseObject({ credential_name: z.string(), credential_values: section }))
    .nullish()
    .transform((credentials) => credentials ?? []),
});
export type LiteLlmConfig = z.infer<typeof LiteLlmConfig>;

/** @throws `INVALID_CONFIG` with the line, for what is no YAML or no configuration of LiteLLM's */
export function readLiteLlm(text: string, path: string): LiteLlmConfig {
  const yaml = readYamlText(text);
  const said = yaml.faults.map(({ message, place }) => `${path}:${place.line}:${place.column}: ${message}`);
  if (said.length === 0) {
    const parsed = LiteLlmConfig.safeParse(yaml.value, PLAIN);
    if (parsed.success) {
      if (isEmpty(parsed.data))
        throw refused([`${path}: has none of LiteLLM’s sections (model_list, router_settings …)`]);
      return parsed.data;
    }
    for (const issue of parsed.error.issues) {
      const at = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
      const { line, column } = yaml.placeOf(at);
      said.push(`${path}:${line}:${column}: ${at.join('.') || 'LiteLLM’s configuration'}: ${issue.message}`);
    }
  }
  throw refused(said);
}

function isEmpty({ model_list, router_settings, litellm_settings, general_settings }: LiteLlmConfig): boolean {
  const sections = [router_settings, litellm_settings, general_settings];
  return model_list.length === 0 && sections.every((options) => Object.keys(options).length === 0);
}

const refused = (lines: readonly string[]): RoutingError =>
  new RoutingError('INVALID_CONFIG', lines.slice(0, 10).join('\n'));

/** `os.environ/NAME` anywhere in LiteLLM's file names a variable. */
export function variableIn(value: unknown): string | undefined {
  return typeof value === 'string' ? /^os\.environ\/(\w+)$/.exec(value.trim())?.[1] : undefined;
}

/** A text of LiteLLM's as ours has it: its variable as a placeholder. Numbers become text; anything else is none. */
export function textOf(value: unknown): string | undefined {
  const name = variableIn(value);
  if (name !== undefined) return `\${${name}}`;
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}
