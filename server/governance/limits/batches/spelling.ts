/** Members of a line that some hosts read whatever their case, of which the cost depends on how they are read. */

const OF_LINES: ReadonlySet<string> = new Set(['custom_id', 'method', 'url', 'body']);
const OF_BODIES: ReadonlySet<string> = new Set([
  ...['model', 'models', 'messages', 'input', 'instructions', 'system', 'prompt', 'tools', 'functions'],
  ...['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'n', 'best_of'],
  ...['previous_response_id', 'conversation', 'response_format', 'text', 'output_config'],
]);

/** As hosts fold it that ignore case: to them `ſ` is an s, and the sign of Kelvin a k. */
export const foldedName = (name: string): string => (FOLDED.test(name) ? name : name.toUpperCase().toLowerCase());

/** Most names: told quicker than folded. */
const FOLDED = /^[a-z0-9_]*$/;

/** @returns the member of a line, or of its body, that is spelt otherwise than it is read here; null: none */
export function misspelt(
  line: Readonly<Record<string, unknown>>,
  body: Readonly<Record<string, unknown>>,
): string | null {
  return misspeltIn(line, OF_LINES) ?? misspeltIn(body, OF_BODIES);
}

/** @returns the member beside the body that belongs into it: some hosts may read it there; null: none */
export function misplaced(line: Readonly<Record<string, unknown>>): string | null {
  return Object.keys(line).find((name) => OF_BODIES.has(foldedName(name)) || foldedName(name) === 'params') ?? null;
}

function misspeltIn(object: Readonly<Record<string, unknown>>, known: ReadonlySet<string>): string | null {
  for (const name of Object.keys(object)) if (!known.has(name) && known.has(foldedName(name))) return name;
  return null;
}
