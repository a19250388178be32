/**
 * `multipart/form-data` in memory: where each field's bytes lie, so that one can be replaced and no other byte is
 * touched. Strict: what two readers could take in two ways is refused, for the provider must read what was checked here.
 */
import type { FastifyRequest } from 'fastify';
import { RoutingError } from '../../datasets/index.ts';
import { FieldError } from './errors.ts';

export interface FormField {
  readonly name: string;
  readonly isFile: boolean;
  /** Bytes of its value: from `start` up to, not including, `end`. */
  readonly start: number;
  readonly end: number;
}

export const MAX_FIELDS = 1000;
export const MAX_HEADER_BYTES = 16 * 1024;
export const BLANK_LINE = Buffer.from('\r\n\r\n');

/**
 * The header that says where the parts of a form begin, written anew: whoever reads it next finds the same boundary.
 *
 * @throws FieldError for a body that is no form; `INVALID_REQUEST` for one whose boundary is not plainly there
 */
export function formTypeOf({ headers }: FastifyRequest): string {
  const type = headers['content-type'] ?? '';
  if (!/^multipart\/form-data\b/i.test(type)) throw new FieldError('body', 'send multipart/form-data');
  const boundary = boundaryOf(type);
  return `multipart/form-data; boundary=${/^[\w'+.-]+$/.test(boundary) ? boundary : `"${boundary}"`}`;
}

/** @param contentType the request's header, for the boundary @throws `INVALID_REQUEST` for a form that is none, or unclear */
export function formFields(body: Buffer, contentType: string): FormField[] {
  const delimiter = Buffer.from(`--${boundaryOf(contentType)}`);
  const between = Buffer.concat([Buffer.from('\r\n'), delimiter]);
  if (!body.subarray(0, delimiter.length).equals(delimiter)) throw broken('it does not begin with its boundary');
  const fields: FormField[] = [];
  let at = delimiter.length;
  while (body.toString('latin1', at, at + 2) !== '--') {
    if (body.toString('latin1', at, at + 2) !== '\r\n') throw broken('a boundary is not followed by a line end');
    // The line end of the boundary may itself be the first half of the blank line: a field without headers.
    const blank = body.subarray(at, at + MAX_HEADER_BYTES).indexOf(BLANK_LINE);
    if (blank <= 0) throw broken('a field has no headers, or none that end');
    const start = at + blank + BLANK_LINE.length;
    const end = body.indexOf(between, start);
    if (end < 0) throw broken('it breaks off before its last boundary');
    // One that follows no proper line end: another reader might take it for the end of the field.
    if (body.subarray(start, end).includes(delimiter)) throw broken('a field holds the boundary itself');
    const { name, isFile } = dispositionOf(body.toString('utf8', at + 2, at + blank));
    fields.push({ name, isFile, start, end });
    if (fields.length > MAX_FIELDS) throw broken(`it has more than ${MAX_FIELDS} fields`);
    at = end + between.length;
  }
  if (body.subarray(at).includes(delimiter)) throw broken('it goes on after its last boundary');
  return fields;
}

/** The only field of a name, as text. @throws `INVALID_REQUEST` where there is none, or several */
export function onlyField(
  body: Buffer,
  fields: readonly FormField[],
  name: string,
): { field: FormField; text: string } {
  const found = fields.filter((field) => field.name.toLowerCase() === name);
  const [field] = found;
  if (field === undefined) throw new RoutingError('INVALID_REQUEST', `${name}: missing from the form`);
  if (found.length > 1 || field.name !== name || field.isFile) {
    throw new RoutingError('INVALID_REQUEST', `${name}: must be one plain field of the form`);
  }
  return { field, text: body.toString('utf8', field.start, field.end) };
}

export const withField = (body: Buffer, { start, end }: FormField, text: string): Buffer =>
  Buffer.concat([body.subarray(0, start), Buffer.from(text), body.subarray(end)]);

/** RFC 2046: up to 70 of these characters, the last no space. */
const BOUNDARY = /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/;

/** @throws `INVALID_REQUEST` where the header names none, or several, or could be read in another way */
export function boundaryOf(contentType: string): string {
  const [, rest] = /^multipart\/form-data(.*)$/i.exec(contentType) ?? [];
  const boundary = parametersOf(rest ?? ' ')?.get('boundary') ?? '';
  if (!BOUNDARY.test(boundary)) throw broken('its content-type names no boundary, or not plainly');
  return boundary;
}

/** A token, or what stands in quotes; nothing in them that some readers undo and others do not. */
const PARAMETER = /[ \t]*;[ \t]*([\w-]+\*?)=(?:"((?:[^"\\]|\\[^"])*)"|([\w!#$%&'*+.^`|~/:?@-]+))/y;

/**
 * What follows a value in a header, in RFC 2045's grammar and no other; RFC 5987's values as they stand.
 *
 * @returns by names in small letters; null where it is anything else, or one is there twice
 */
export function parametersOf(rest: string): ReadonlyMap<string, string> | null {
  const found = new Map<string, string>();
  const text = rest.trimEnd();
  let at = 0;
  while (at < text.length) {
    PARAMETER.lastIndex = at;
    const [whole, name = '', quoted, plain] = PARAMETER.exec(text) ?? [];
    // `name` and `name*` are the same to some readers; only file names are written in both ways.
    const key = name.toLowerCase();
    if (whole === undefined || found.has(key) || (key.endsWith('*') && key !== 'filename*')) return null;
    found.set(key, quoted ?? plain!);
    at += whole.length;
  }
  return found;
}

export interface PartHeader {
  /** In small letters. */
  readonly name: string;
  readonly value: string;
}

/** Of a line that some readers end elsewhere. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const LINE = /^([\w-]+):[ ]*([^\0-\x1f\x7f-\x9f\u2028\u2029]*)$/;

/** @param headers of one field, lines parted by CRLF @throws `INVALID_REQUEST` where there is anything but plain lines, each name once */
export function headersOf(headers: string): PartHeader[] {
  const seen = new Set<string>();
  return headers.split('\r\n').map((line) => {
    const [, name = '', value = ''] = LINE.exec(line) ?? [];
    const known = name.toLowerCase();
    if (known === '' || seen.has(known)) throw broken('a header of a field is there twice, or is no plain line');
    seen.add(known);
    return { name: known, value };
  });
}

export interface Disposition {
  readonly name: string;
  readonly isFile: boolean;
  readonly parameters: ReadonlyMap<string, string>;
}

/** @param headers of one field, lines parted by CRLF */
export function dispositionOf(headers: string): Disposition {
  const said = headersOf(headers).find(({ name }) => name === 'content-disposition')?.value ?? '';
  const [, rest] = /^form-data(.*)$/i.exec(said) ?? [];
  const parameters = rest === undefined ? null : parametersOf(rest);
  const name = parameters?.get('name');
  if (parameters === null || name === undefined) return unnamed();
  for (const one of parameters.keys()) if (!/^(?:name|filename\*?)$/.test(one)) return unnamed();
  return { name, isFile: parameters.size > 1, parameters };
}

function unnamed(): never {
  throw broken('a field does not say its name, or not plainly');
}

export const broken = (why: string): RoutingError =>
  new RoutingError('INVALID_REQUEST', `the form cannot be read: ${why}; send multipart/form-data as clients write it`);
