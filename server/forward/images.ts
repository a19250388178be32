/** Takes pictures out of a request of any protocol and says where they were. */
import { isObject } from './usage.ts';

const NOTE = '[An image stood here. The model that answers now reads text only.]';

/** Pictures by the name of their part, and what a part of text is called beside them. */
const KINDS: Readonly<Record<string, string>> = { image_url: 'text', image: 'text', input_image: 'input_text' };

/** The same object where it holds no pictures. */
export function withoutImages(json: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  let found = false;
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (!isObject(value)) return value;
    const kind = typeof value.type === 'string' && Object.hasOwn(KINDS, value.type) ? KINDS[value.type] : undefined;
    if (kind !== undefined) {
      found = true;
      return { type: kind, text: NOTE };
    }
    if (value.content === undefined && value.output === undefined) return value;
    return {
      ...value,
      ...(value.content !== undefined && { content: walk(value.content) }),
      ...(Array.isArray(value.output) && { output: walk(value.output) }),
    };
  };
  const turns = Object.fromEntries(
    ['messages', 'input'].filter((name) => json[name] !== undefined).map((name) => [name, walk(json[name])]),
  );
  return found ? { ...json, ...turns } : json;
}
