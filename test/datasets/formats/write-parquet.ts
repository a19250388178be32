/**
 * A writer of Parquet files for tests: optional columns and optional structs of them, PLAIN, one data page a column,
 * plain or gzipped. As the files of the hub are, but for their dictionaries.
 * @see the Apache Parquet format: parquet.thrift, Thrift compact protocol
 */
import { gzipSync } from 'node:zlib';

type Cell = string | number | null | undefined;
export type ParquetTestRow = Record<string, Cell | Record<string, Cell> | null>;
/** `int` is INT64, `text` UTF-8, `real` DOUBLE; an object is a struct. */
type Kind = 'int' | 'text' | 'real';
export type ParquetTestSchema = Record<string, Kind | Record<string, Kind>>;

interface Leaf {
  readonly path: readonly string[];
  readonly kind: Kind;
}

const TYPE: Record<Kind, number> = { int: 2, real: 5, text: 6 };
const GZIP = 2;

export function writeParquet(
  schema: ParquetTestSchema,
  rows: readonly ParquetTestRow[],
  { gzip = false, rowsPerGroup = rows.length }: { gzip?: boolean; rowsPerGroup?: number } = {},
): Buffer {
  const leaves = Object.entries(schema).flatMap(([name, kind]): Leaf[] =>
    typeof kind === 'string'
      ? [{ path: [name], kind }]
      : Object.entries(kind).map(([part, partKind]) => ({ path: [name, part], kind: partKind })),
  );
  const pieces: Buffer[] = [Buffer.from('PAR1')];
  let offset = 4;
  const groups: Buffer[] = [];
  for (let from = 0; from < rows.length; from += rowsPerGroup) {
    const group = rows.slice(from, from + rowsPerGroup);
    const chunks = leaves.map((leaf) => {
      const page = pageOf(leaf, group);
      const stored = gzip ? gzipSync(page) : page;
      const header = struct([
        [1, i32(0)],
        [2, i32(page.length)],
        [3, i32(stored.length)],
        [
          5,
          struct([
            [1, i32(group.length)],
            [2, i32(0)],
            [3, i32(3)],
            [4, i32(3)],
          ]),
        ],
      ]).bytes;
      const at = offset;
      pieces.push(header, stored);
      offset += header.length + stored.length;
      const meta = struct([
        [1, i32(TYPE[leaf.kind])],
        [2, list([i32(0), i32(3)])],
        [3, list(leaf.path.map(binary))],
        [4, i32(gzip ? GZIP : 0)],
        [5, i64(group.length)],
        [6, i64(header.length + page.length)],
        [7, i64(header.length + stored.length)],
        [9, i64(at)],
      ]);
      return struct([
        [2, i64(at)],
        [3, meta],
      ]);
    });
    groups.push(
      struct([
        [1, list(chunks)],
        [2, i64(offset)],
        [3, i64(group.length)],
      ]).bytes,
    );
  }
  const elements = [
    struct([
      [4, binary('schema')],
      [5, i32(Object.keys(schema).length)],
    ]),
    ...Object.entries(schema).flatMap(([name, kind]) =>
      typeof kind === 'string'
        ? [leafElement(name, kind)]
        : [
            struct([
              [3, i32(1)],
              [4, binary(name)],
              [5, i32(Object.keys(kind).length)],
            ]),
            ...Object.entries(kind).map(([part, partKind]) => leafElement(part, partKind)),
          ],
    ),
  ];
  const footer = struct([
    [1, i32(1)],
    [2, list(elements)],
    [3, i64(rows.length)],
    [4, list(groups.map((bytes) => ({ type: STRUCT, bytes })))],
  ]).bytes;
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([...pieces, footer, length, Buffer.from('PAR1')]);
}

const leafElement = (name: string, kind: Kind): Value =>
  struct([[1, i32(TYPE[kind])], [3, i32(1)], [4, binary(name)], ...(kind === 'text' ? [[6, i32(0)] as const] : [])]);

/** Definition levels as runs of one, then the values that are there. */
function pageOf({ path, kind }: Leaf, rows: readonly ParquetTestRow[]): Buffer {
  const levels: number[] = [];
  const values: Buffer[] = [];
  for (const row of rows) {
    const outer = row[path[0]!];
    const value = path.length === 1 ? outer : outer == null ? undefined : (outer as Record<string, Cell>)[path[1]!];
    const there = value !== null && value !== undefined;
    levels.push(0x02, there ? path.length : path.length === 2 && outer != null ? 1 : 0);
    if (there) values.push(plainValue(kind, value as string | number));
  }
  const length = Buffer.alloc(4);
  length.writeUInt32LE(levels.length);
  return Buffer.concat([length, Buffer.from(levels), ...values]);
}

function plainValue(kind: Kind, value: string | number): Buffer {
  if (kind === 'text') {
    const text = Buffer.from(String(value));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    return Buffer.concat([length, text]);
  }
  const bytes = Buffer.alloc(8);
  if (kind === 'int') bytes.writeBigInt64LE(BigInt(value));
  else bytes.writeDoubleLE(Number(value));
  return bytes;
}

interface Value {
  readonly type: number;
  readonly bytes: Buffer;
}

const STRUCT = 12;

const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  for (let rest = BigInt(value); ; ) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
    if (rest === 0n) return Buffer.from(bytes);
  }
};
const i32 = (value: number): Value => ({ type: 5, bytes: varint(value * 2) });
const i64 = (value: number): Value => ({ type: 6, bytes: varint(value * 2) });
const binary = (text: string): Value => ({
  type: 8,
  bytes: Buffer.concat([varint(Buffer.byteLength(text)), Buffer.from(text)]),
});
const list = (values: readonly Value[]): Value => ({
  type: 9,
  bytes: Buffer.concat([
    values.length < 15
      ? Buffer.from([(values.length << 4) | values[0]!.type])
      : Buffer.concat([Buffer.from([0xf0 | values[0]!.type]), varint(values.length)]),
    ...values.map(({ bytes }) => bytes),
  ]),
});
function struct(fields: readonly (readonly [id: number, value: Value])[]): Value {
  const pieces: Buffer[] = [];
  let last = 0;
  for (const [id, { type, bytes }] of fields) {
    pieces.push(Buffer.from([((id - last) << 4) | type]), bytes);
    last = id;
  }
  return { type: STRUCT, bytes: Buffer.concat([...pieces, Buffer.from([0])]) };
}
