/** The text of a prompt that is written as chat messages: what the user says, or all of it where no user speaks. */

/** Undefined for what is neither a text nor messages. */
export function promptText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const messages = value.map((m) => ({ role: fieldOf(m, 'role'), text: contentText(fieldOf(m, 'content')) }));
  const users = messages.filter(({ role }) => role === 'user');
  return (users.length > 0 ? users : messages)
    .map(({ text }) => text)
    .filter((text) => text !== '')
    .join('\n\n');
}

/** The same for a text that may itself be messages in JSON, as promptfoo keeps chat prompts. */
export function renderedPromptText(raw: string): string {
  if (!/^\s*\[\s*\{/.test(raw)) return raw;
  try {
    return promptText(JSON.parse(raw)) || raw;
  } catch {
    return raw;
  }
}

function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((part) => (typeof part === 'string' ? part : fieldOf(part, 'text')))
    .filter((text) => typeof text === 'string')
    .join('\n');
}

/** A field of what may not be an object. */
export const fieldOf = (value: unknown, field: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, field)
    ? (value as Record<string, unknown>)[field]
    : undefined;
