/** Writers of the formats that upstreams publish, as small as they can be: what the readers are tested on. */
import { gzipSync } from 'node:zlib';

export interface TarOptions {
  /** As `git archive` writes the commit. */
  readonly comment?: string;
}

/** Members in the order of the object; a content of `null` is a folder. */
export function tarGz(members: Record<string, string | Uint8Array | null>, { comment }: TarOptions = {}): Buffer {
  const blocks: Buffer[] = [];
  const add = (name: string, type: string, body: Buffer) => {
    blocks.push(tarHeader(name, type, body.length), body, Buffer.alloc((512 - (body.length % 512)) % 512));
  };
  if (comment !== undefined) add('pax_global_header', 'g', pax('comment', comment));
  for (const [name, content] of Object.entries(members)) {
    const body = content === null ? Buffer.alloc(0) : Buffer.from(content as string);
    // ustar holds 100 bytes of a name here; longer ones go into a pax header in front.
    if (Buffer.byteLength(name) > 100) add('long', 'x', pax('path', name));
    add(name.slice(0, 100), content === null ? '5' : '0', body);
  }
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}

function tarHeader(name: string, type: string, size: number): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((a, b) => a + b, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** The record's length counts its own digits. */
function pax(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest !== length) length++;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

/** Members stored as they are. */
export function zip(members: Record<string, string>): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(members)) {
    const body = Buffer.from(content);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(body), 10);
    common.writeUInt32LE(body.length, 14);
    common.writeUInt32LE(body.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), body]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, tail, Buffer.from(name)]));
    files.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...files, central, end]);
}

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** Fields quoted where they have to be, as pandas does. */
export const csv = (rows: readonly (readonly string[])[]): string =>
  rows
    .map((row) => `${row.map((x) => (/[",\n\r]/.test(x) ? `"${x.replaceAll('"', '""')}"` : x)).join(',')}\n`)
    .join('');
