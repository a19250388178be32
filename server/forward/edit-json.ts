/**
 * Replaces members of a JSON object in its text and leaves every other byte alone. A parse and
 * re-print would change what we promised to pass through: large integers, `1.0`, repeated keys.
 */

/**
 * @param text     a valid JSON object (parse it first: this scanner trusts its input)
 * @param edits    member name → new value as JSON text; a member that is not there is added at the end
 * @param renames  member name → new name
 */
export function editMembers(
  text: string,
  edits: Readonly<Record<string, string>>,
  renames: Readonly<Record<string, string>> = {},
): string {
  const pending = new Set(Object.keys(edits));
  let out = '';
  let copied = 0;
  let empty = true;
  let i = skipSpace(text, text.indexOf('{') + 1);
  while (text[i] === '"') {
    empty = false;
    const keyEnd = endOfString(text, i);
    const key = JSON.parse(text.slice(i, keyEnd)) as string;
    // skip the colon between key and value
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = endOfValue(text, start);
    if (Object.hasOwn(renames, key)) {
      out += text.slice(copied, i) + JSON.stringify(renames[key]);
      copied = keyEnd;
    }
    const edit = Object.hasOwn(edits, key) ? edits[key] : undefined;
    if (edit !== undefined) {
      out += text.slice(copied, start) + edit;
      copied = end;
      pending.delete(key);
    }
    i = skipSpace(text, end);
    if (text[i] === ',') i = skipSpace(text, i + 1);
  }
  out += text.slice(copied, i);
  for (const key of pending) {
    out += `${empty ? '' : ','}${JSON.stringify(key)}:${edits[key]}`;
    empty = false;
  }
  return out + text.slice(i);
}

/** The object without the members of this name, all others byte by byte. @param text a valid JSON object */
export function withoutMember(text: string, name: string): string {
  const kept: string[] = [];
  let i = skipSpace(text, text.indexOf('{') + 1);
  while (text[i] === '"') {
    const keyEnd = endOfString(text, i);
    const end = endOfValue(text, skipSpace(text, skipSpace(text, keyEnd) + 1));
    if (JSON.parse(text.slice(i, keyEnd)) !== name) kept.push(text.slice(i, end));
    i = skipSpace(text, end);
    if (text[i] === ',') i = skipSpace(text, i + 1);
  }
  return `{${kept.join(',')}}`;
}

/** The text of a member's value; of several of one name the last, as a parser takes it. @param text a valid JSON object */
export function memberText(text: string, name: string): string | undefined {
  let found: string | undefined;
  let i = skipSpace(text, text.indexOf('{') + 1);
  while (text[i] === '"') {
    const keyEnd = endOfString(text, i);
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = endOfValue(text, start);
    if (JSON.parse(text.slice(i, keyEnd)) === name) found = text.slice(start, end);
    i = skipSpace(text, end);
    if (text[i] === ',') i = skipSpace(text, i + 1);
  }
  return found;
}

/**
 * An array with its items' texts replaced, the space between them kept.
 *
 * @param text  a valid JSON array
 * @param edit  an item's text → its new text, or null to take the item out
 */
export function editItems(text: string, edit: (item: string, index: number) => string | null): string {
  let out = '';
  let index = 0;
  let empty = true;
  let copied = 0;
  let i = skipSpace(text, text.indexOf('[') + 1);
  while (i < text.length && text[i] !== ']') {
    const end = endOfValue(text, i);
    const edited = edit(text.slice(i, end), index);
    // What stands before the first item opens the array; before any other it parts two items.
    const before = text.slice(copied, i);
    if (index === 0) out = before;
    if (edited !== null) {
      out += (empty ? '' : before) + edited;
      empty = false;
    }
    copied = end;
    index++;
    i = skipSpace(text, end);
    if (text[i] === ',') i = skipSpace(text, i + 1);
  }
  return out + text.slice(copied);
}

function skipSpace(text: string, from: number): number {
  let i = from;
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\t' || text[i] === '\r') i++;
  return i;
}

/** Index after the string that opens at `from`. */
export function endOfString(text: string, from: number): number {
  let quote = text.indexOf('"', from + 1);
  for (;;) {
    let slashes = 0;
    while (text[quote - 1 - slashes] === '\\') slashes++;
    if (slashes % 2 === 0) return quote + 1;
    quote = text.indexOf('"', quote + 1);
  }
}

function endOfValue(text: string, from: number): number {
  const first = text[from];
  if (first === '"') return endOfString(text, from);
  let i = from;
  if (first !== '{' && first !== '[') {
    while (i < text.length && !',}] \n\t\r'.includes(text[i]!)) i++;
    return i;
  }
  let depth = 0;
  for (;;) {
    const char = text[i];
    if (char === '"') {
      i = endOfString(text, i);
      continue;
    }
    if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    i++;
    if (depth === 0) return i;
  }
}
