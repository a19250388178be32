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

/** @throws FieldError for a body that is no form */
export function formTypeOf({ headers }: FastifyRequest): string {
  const type = headers['content-type'] ?? '';
  if (/^multipart\/form-data\b/i.test(type)) return type;
  throw new FieldError('body', 'send multipart/form-data');
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
    fields.push({ ...dispositionOf(body.toString('utf8', at + 2, at + blank)), start, end });
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

/** @throws `INVALID_REQUEST` where the header names none, or several */
export function boundaryOf(contentType: string): string {
  const found = [...contentType.matchAll(/;\s*boundary=(?:"([^"]*)"|([^\s;"]+))/gi)];
  const boundary = found[0]?.[1] ?? found[0]?.[2] ?? '';
  // RFC 2046: up to 70 of these characters, the last no space.
  if (found.length !== 1 || !/^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/.test(boundary)) {
    throw broken('its content-type names no boundary, or more than one');
  }
  return boundary;
}

/** @param headers of one field, lines parted by CRLF */
export function dispositionOf(headers: string): { name: string; isFile: boolean } {
  const lines = headers.split('\r\n').filter((line) => /^content-disposition\s*:/i.test(line));
  if (lines.length !== 1 || /\r\n[ \t]/.test(headers)) return unnamed();
  const [, rest = ''] =
    /^content-disposition:\s*form-data((?:\s*;\s*[\w*-]+=(?:"(?:[^"\\]|\\.)*"|[^\s;"]+))*)\s*$/i.exec(lines[0]!) ?? [];
  const names: string[] = [];
  let isFile = false;
  for (const [, key, quoted, plain] of rest.matchAll(/;\s*([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/g)) {
    // `name*` is one that some readers know and others do not.
    if (/^name\*$/i.test(key!)) return unnamed();
    if (/^name$/i.test(key!)) names.push(quoted ?? plain!);
    if (/^filename\*?$/i.test(key!)) isFile = true;
  }
  return names.length === 1 ? { name: names[0]!, isFile } : unnamed();
}

function unnamed(): never {
  throw broken('a field does not say its name, or not plainly');
}

export const broken = (why: string): RoutingError =>
  new RoutingError('INVALID_REQUEST', `the form cannot be read: ${why}; send multipart/form-data as clients write it`);
