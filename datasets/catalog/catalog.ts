/** Reads the file that lists the candidate models: the shipped `models.json`, or your own in JSON or YAML. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse as parseYaml } from 'yaml';
import { RoutingError } from '../errors.ts';
import { PLAIN } from '../plain-issues.ts';
import { Catalog } from './candidate.ts';

/** Where the shipped catalog lies. */
export const shippedCatalog = (): string => fileURLToPath(new URL('./models.json', import.meta.url));

/**
 * @param path a `.json`, `.yaml` or `.yml` file; default: the shipped catalog
 * @throws `MISSING_FILE`, `MALFORMED_JSON`, `INVALID_CONFIG` naming the entry and field, `DUPLICATE_ROW`
 */
export async function readCatalog(path: string = shippedCatalog()): Promise<Catalog> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (cause as Error).message;
    throw new RoutingError('MISSING_FILE', `${path}: cannot read the catalog of candidate models (${why})`, { cause });
  }
  return parseCatalog(text, path);
}

/** The same for a text in hand; `path` names it in errors and tells JSON from YAML. */
export function parseCatalog(text: string, path: string): Catalog {
  let value: unknown;
  try {
    value = /\.ya?ml$/i.test(path) ? parseYaml(text) : JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    const format = /\.ya?ml$/i.test(path) ? 'YAML' : 'JSON';
    throw new RoutingError('MALFORMED_JSON', `${path}: not ${format} (${(cause as Error).message})`, { cause });
  }
  const parsed = Catalog.safeParse(value, PLAIN);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new RoutingError('INVALID_CONFIG', `${path}: ${placeOf(value, issue.path)}: ${issue.message}`, {
      cause: parsed.error,
    });
  }
  const seen = new Set<string>();
  for (const { id } of parsed.data.models) {
    if (seen.has(id)) throw new RoutingError('DUPLICATE_ROW', `${path}: model ${id} stands there twice; keep one`);
    seen.add(id);
  }
  return parsed.data;
}

/** `models[3] (openai/gpt-x), field contextTokens`: an entry is easier found by its id than by its number. */
function placeOf(value: unknown, path: readonly PropertyKey[]): string {
  const [head, index, ...field] = path;
  if (head !== 'models' || typeof index !== 'number') return `field ${path.join('.') || '(file)'}`;
  const id = (value as { models?: { id?: unknown }[] }).models?.[index]?.id;
  const name = typeof id === 'string' ? ` (${id})` : '';
  return `models[${index}]${name}${field.length > 0 ? `, field ${field.join('.')}` : ''}`;
}
