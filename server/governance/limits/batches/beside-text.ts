/** What a request of a batch holds beside its text: pictures, whose characters say nothing of their tokens, and what is not in it. */
import { isObject } from '../../../forward/usage.ts';
import type { SurfaceName } from '../../../protocols/index.ts';
import { foldedName } from './spelling.ts';

type Json = Readonly<Record<string, unknown>>;

export interface BesideText {
  readonly pictures: number;
  /** Of their bytes: these count as pictures, all others as text. */
  readonly chars: number;
  /** The member that names what stands elsewhere, of a size that nobody here knows; null: there is none. */
  readonly refersBy: string | null;
}

/**
 * A picture counts as one only where its protocol reads pictures, and as its bytes only where those are base64. Wherever else
 * something looks like one (a text, a tool's schema, a member that nobody knows) its characters are text.
 */
export function besideText(surface: SurfaceName, body: Json): BesideText {
  if (surface === 'embeddings') return { pictures: 0, chars: 0, refersBy: null };
  let pictures = 0;
  let chars = 0;
  const seen = new Set<unknown>();
  for (const part of partsOf(surface, body)) {
    const written = pictureIn(surface, part);
    if (written === null) continue;
    seen.add(part);
    pictures++;
    chars += bytesIn(written);
  }
  const rest = besideParts(body, seen);
  return { pictures: pictures + rest.links, chars, refersBy: rest.refersBy };
}

/** Parts of messages and of what tools answered, where a picture can stand. */
function partsOf(surface: SurfaceName, body: Json): Json[] {
  const parts: Json[] = [];
  const add = (content: unknown): void => {
    for (const part of listed(content)) {
      if (!isObject(part)) continue;
      parts.push(part);
      if (surface !== 'messages') continue;
      if (part.type === 'tool_result') for (const one of listed(part.content)) if (isObject(one)) parts.push(one);
      const source = part.type === 'document' && isObject(part.source) ? part.source : {};
      if (source.type === 'content') for (const one of listed(source.content)) if (isObject(one)) parts.push(one);
    }
  };
  for (const one of listed(surface === 'responses' ? body.input : body.messages)) {
    if (!isObject(one)) continue;
    const { type } = one;
    if (surface !== 'responses' || type === undefined || type === 'message') add(one.content);
    else if (typeof type === 'string' && type.endsWith('_output'))
      add(isObject(one.output) ? [one.output] : one.output);
  }
  return parts;
}

const listed = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** What a picture is written as, or where it is; null: it is none. */
function pictureIn(surface: SurfaceName, part: Json): unknown {
  const { type } = part;
  if (surface === 'chat') {
    if (type !== 'image_url') return null;
    return (isObject(part.image_url) ? part.image_url.url : part.image_url) ?? null;
  }
  if (surface === 'responses') {
    return type === 'input_image' || type === 'computer_screenshot' ? (part.image_url ?? part.file_id ?? null) : null;
  }
  if (type !== 'image' || !isObject(part.source)) return null;
  const { type: kind, media_type: media, data, url, file_id: file } = part.source;
  if (kind !== 'base64') return url ?? file ?? null;
  return typeof media === 'string' && typeof data === 'string' ? `data:${media};base64,${data}` : null;
}

const DATA_URL = /^data:image\/[\w.+-]{1,40};base64,/;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

function bytesIn(written: unknown): number {
  if (typeof written !== 'string') return 0;
  const start = DATA_URL.exec(written)?.[0].length;
  if (start === undefined) return 0;
  const bytes = written.slice(start);
  return BASE64.test(bytes) ? bytes.length : 0;
}

/** Members whose value says where something is that is read with the request. Also looked for in texts, for twins. */
export const REFERRING = [
  ...['file_id', 'file_ids', 'file_url', 'file_uri', 'fileuri', 'video_url', 'audio_url'],
  ...['previous_response_id', 'conversation'],
] as const;
const REFERS: ReadonlySet<string> = new Set(REFERRING);

/** What was said of sources, what a tool is called with, and what describes: names within are anybody's. */
const ANYBODYS: ReadonlySet<string> = new Set([
  ...['annotations', 'citations', 'metadata', 'tools', 'functions', 'response_format', 'text', 'output_config'],
]);

/** @param pictures parts that are counted as that */
function besideParts(body: Json, pictures: ReadonlySet<unknown>): { links: number; refersBy: string | null } {
  let links = 0;
  const waiting: unknown[] = [body];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null || pictures.has(value)) continue;
    if (Array.isArray(value)) {
      for (const one of value) waiting.push(one);
      continue;
    }
    const object = value as Json;
    const refersBy = referenceIn(object, object === body);
    if (refersBy !== null) return { links, refersBy };
    const isCall = typeof object.type === 'string' && object.type.endsWith('tool_use');
    for (const name of Object.keys(object)) {
      const one = object[name];
      if (typeof one !== 'string' && (typeof one !== 'object' || one === null)) continue;
      if (foldedName(name) === 'image_url' && isSomewhere(one)) links++;
      else if (typeof one !== 'string' && !ANYBODYS.has(name) && !(isCall && name === 'input')) waiting.push(one);
    }
  }
  return { links, refersBy: null };
}

function referenceIn(object: Json, isBody: boolean): string | null {
  for (const name of Object.keys(object)) {
    const value = object[name];
    const folded = foldedName(name);
    if (REFERS.has(folded) && isSomewhere(value)) return folded;
    // Bytes are meant to be in it.
    if (folded === 'file_data' && typeof value === 'string' && /^\w+:\/\//.test(value)) return 'file_data';
    if (isBody && folded === 'prompt' && isObject(value)) return 'prompt';
  }
  if (object.type === 'url' && isSomewhere(object.url)) return 'source.url';
  return object.type === 'item_reference' ? 'item_reference' : null;
}

/** Not bytes written into it, which are counted as they stand. */
function isSomewhere(value: unknown): boolean {
  if (typeof value === 'string') return value !== '' && !value.startsWith('data:');
  if (Array.isArray(value)) return value.length > 0;
  if (!isObject(value)) return false;
  return [value.url, value.id, value.uri].some((one) => typeof one === 'string' && isSomewhere(one));
}
