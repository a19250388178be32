/** Looks at a file's first bytes before anything parses it: web pages, pickles and pointers are not data. */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { RoutingError } from '../errors.ts';

export const FORMATS = ['csv', 'json', 'jsonl', 'parquet', 'zip', 'tar.gz'] as const;
export type Format = (typeof FORMATS)[number];

/** The format that a file's name says, or undefined. */
export function formatOf(name: string): Format | undefined {
  const lower = name.toLowerCase();
  if (lower.endsWith('.tgz')) return 'tar.gz';
  return FORMATS.find((format) => lower.endsWith(`.${format}`));
}

/** By name: reading one of these runs whatever program its author put inside. */
export const isPickle = (name: string): boolean => /\.(pkl|pickle|p|joblib|pt|pth)(\.(gz|bz2|xz|zip))?$/i.test(name);

const HEAD_BYTES = 1024;

/**
 * @param advice what to do instead, where the file is a pickle
 * @throws `MISSING_FILE`; `WRONG_FORMAT` for a pickle, a web page, a Git LFS pointer, or other first bytes than the
 *         format has; `TRUNCATED_FILE` for an empty file
 */
export function refuseWrongFormat(path: string, format: Format, advice = ''): void {
  if (isPickle(path)) throw pickle(path, advice);
  if (!existsSync(path)) throw new RoutingError('MISSING_FILE', `${path}: no such file`);
  if (!statSync(path).isFile()) throw new RoutingError('MISSING_FILE', `${path}: is a folder, and a file is wanted`);
  const head = headOf(path);
  if (head.length === 0) throw new RoutingError('TRUNCATED_FILE', `${path}: is empty; fetch it again`);
  if (startsAsPickle(head)) throw pickle(path, advice);
  const text = head.toString('latin1').replace(/^\u00ef\u00bb\u00bf/, '');
  if (/^\s*<(!doctype|html|head|\?xml)/i.test(text)) {
    throw wrong(path, format, 'it is a web page; a proxy or a log-in page may have answered in its place');
  }
  if (text.startsWith('version https://git-lfs.github.com/spec/')) {
    throw wrong(path, format, 'it is a Git LFS pointer, not the file; download it from the site, or run git lfs pull');
  }
  const magic = MAGIC[format];
  if (magic !== undefined && !head.subarray(0, magic.length).equals(magic)) {
    throw wrong(path, format, `it starts with ${printable(head.subarray(0, 8))}`);
  }
}

const MAGIC: Partial<Record<Format, Buffer>> = {
  parquet: Buffer.from('PAR1'),
  zip: Buffer.from('PK'),
  'tar.gz': Buffer.from([0x1f, 0x8b]),
};

/** Protocols 2 to 5 start with 0x80 and their number. */
const startsAsPickle = (head: Buffer): boolean => head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5;

function headOf(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(file);
  }
}

function pickle(path: string, advice: string): RoutingError {
  return new RoutingError(
    'WRONG_FORMAT',
    `${path}: is a Python pickle, and reading one runs whatever program is inside: refused. ` +
      (advice || `Convert ${basename(path)} to CSV, JSONL or Parquet where that does no harm, and give the result`),
  );
}

const wrong = (path: string, format: Format, why: string): RoutingError =>
  new RoutingError('WRONG_FORMAT', `${path}: is not ${format}: ${why}`);

const printable = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1'));
