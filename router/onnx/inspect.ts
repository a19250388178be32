/**
 * Looks through an ONNX model before it is run: one that somebody else made may name files of this machine as its
 * weights, or operators of a library of theirs. Reads the fields that it knows and refuses all others, so that what the
 * runtime would read of a model has been seen here.
 * @see onnx/onnx.proto (ONNX IR 13) for the field numbers
 */
import { RoutingError } from '../../datasets/index.ts';

/** Domains whose operators are the runtime's own and compute, no more. */
const DOMAINS = ['', 'ai.onnx', 'ai.onnx.ml'];

/** Larger than any router: the shipped one has 11 MB. */
export const MAX_MODEL_BYTES = 256 * 1024 * 1024;
const MAX_NODES = 100_000;
/** Graphs within attributes of nodes of graphs. */
const MAX_DEPTH = 8;

/** What a length-delimited field holds; `plain`: nothing that needs looking into. */
type Kind = 'model' | 'opset' | 'graph' | 'node' | 'attribute' | 'sparse' | 'tensor';
type Inside = Kind | 'domain' | 'plain' | 'refused';

interface Message {
  /** Length-delimited fields that may be there. */
  readonly fields: Readonly<Record<number, Inside>>;
  /** Numbers that may be there. Those of some may be packed, and are then among `fields` as plain. */
  readonly numbers: readonly number[];
}

/** What `refused` stands for, by message and field. */
const REFUSED: Readonly<Record<string, string>> = {
  'model.20': 'a training graph',
  'model.25': 'functions of its own',
  'model.26': 'a device configuration',
  'tensor.13': 'data in another file',
};

const plain = (...numbers: number[]): Record<number, Inside> =>
  Object.fromEntries(numbers.map((number) => [number, 'plain' as const]));

const MESSAGES: Record<Kind, Message> = {
  model: {
    fields: {
      ...plain(2, 3, 4, 6, 14),
      7: 'graph',
      8: 'opset',
      20: 'refused',
      25: 'refused',
      26: 'refused',
    },
    numbers: [1, 5],
  },
  opset: { fields: { 1: 'domain' }, numbers: [2] },
  graph: {
    fields: { ...plain(2, 10, 11, 12, 13, 14, 16), 1: 'node', 5: 'tensor', 15: 'sparse' },
    numbers: [],
  },
  node: { fields: { ...plain(1, 2, 3, 4, 6, 8, 9), 5: 'attribute', 7: 'domain' }, numbers: [] },
  attribute: {
    fields: {
      ...plain(1, 4, 7, 8, 9, 13, 14, 15, 21),
      5: 'tensor',
      6: 'graph',
      10: 'tensor',
      11: 'graph',
      22: 'sparse',
      23: 'sparse',
    },
    numbers: [2, 3, 7, 8, 20],
  },
  sparse: { fields: { ...plain(3), 1: 'tensor', 2: 'tensor' }, numbers: [3] },
  tensor: {
    fields: { ...plain(1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16), 13: 'refused' },
    // 14, data_location, is looked at: 0 is within the file, and nothing else may be.
    numbers: [1, 2, 4, 5, 7, 10, 11, 14],
  },
};

const DATA_LOCATION = 14;

interface Reader {
  readonly bytes: Uint8Array;
  readonly name: string;
  nodes: number;
}

/**
 * Cost: a visit to every field, none to the numbers of a tensor.
 * @param name of the file, for messages
 * @throws `ARTIFACT_UNTRUSTED` for data in another file, operators or functions that are not ONNX' own, a field that is
 *         not known, or a model beyond the limits; `ARTIFACT_DAMAGED` for bytes that are no model, or end too early
 */
export function inspectModel(bytes: Uint8Array, name: string): void {
  if (bytes.length > MAX_MODEL_BYTES) {
    throw untrusted(name, `is larger than ${MAX_MODEL_BYTES / 1024 / 1024} MB`);
  }
  const graphs = inspect({ bytes, name, nodes: 0 }, 'model', 0, bytes.length, 0);
  if (graphs === 0) throw damaged(name, 'has no graph');
}

/** @returns how many graphs are directly in it */
function inspect(reader: Reader, kind: Kind, from: number, to: number, depth: number): number {
  const { bytes, name } = reader;
  const { fields, numbers } = MESSAGES[kind];
  let at = from;
  let graphs = 0;
  /** Up to 64 bits; beyond 2^53 it is inexact, which no number here may be. */
  const varint = (): number => {
    let value = 0;
    for (let k = 0, factor = 1; k < 10; k++, factor *= 128) {
      if (at >= to) throw damaged(name, 'ends in the middle of a field');
      const byte = bytes[at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    throw damaged(name, 'holds a number that is none');
  };
  const skip = (length: number): void => {
    if (length > to - at) throw damaged(name, 'ends in the middle of a field');
    at += length;
  };
  while (at < to) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    if (field < 1 || tag >= 2 ** 32) throw damaged(name, 'holds a field that is none');
    const wire = tag % 8;
    if (wire === 2) {
      const length = varint();
      const start = at;
      skip(length);
      const inside = Object.hasOwn(fields, field) ? fields[field]! : null;
      if (inside === null) throw unknown(name, kind, field);
      if (inside === 'plain') continue;
      if (inside === 'refused') throw untrusted(name, `has ${REFUSED[`${kind}.${field}`]}`);
      if (inside === 'domain') {
        checkDomain(bytes.subarray(start, at), name);
        continue;
      }
      if (inside === 'graph') {
        graphs++;
        if (depth >= MAX_DEPTH) throw untrusted(name, `has graphs within graphs, more than ${MAX_DEPTH} deep`);
      }
      if (inside === 'node' && ++reader.nodes > MAX_NODES) throw untrusted(name, `has more than ${MAX_NODES} nodes`);
      inspect(reader, inside, start, at, inside === 'graph' ? depth + 1 : depth);
      continue;
    }
    if (!numbers.includes(field)) throw unknown(name, kind, field);
    if (wire === 0) {
      const value = varint();
      if (kind === 'tensor' && field === DATA_LOCATION && value !== 0)
        throw untrusted(name, 'has data in another file');
    } else if (wire === 1) skip(8);
    else if (wire === 5) skip(4);
    else throw damaged(name, 'holds a field of a kind that no model has');
    // As another kind of number the runtime might read it all the same, or pass it over.
    if (kind === 'tensor' && field === DATA_LOCATION && wire !== 0) throw untrusted(name, 'has data in another file');
  }
  return graphs;
}

function checkDomain(bytes: Uint8Array, name: string): void {
  const domain = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  if (DOMAINS.includes(domain)) return;
  // Somebody else's text: of it only what a log can show.
  const shown = domain.slice(0, 60).replace(/[^\w.-]/g, '?');
  throw untrusted(name, `uses operators of ${shown}, which are not ONNX’ own`);
}

const untrusted = (name: string, what: string): RoutingError =>
  new RoutingError('ARTIFACT_UNTRUSTED', `${name}: ${what}; such a model is not run here`);

const unknown = (name: string, kind: string, field: number): RoutingError =>
  untrusted(name, `has a field that is not known here (${field} of its ${kind})`);

const damaged = (name: string, what: string): RoutingError =>
  new RoutingError('ARTIFACT_DAMAGED', `${name}: not a model that ONNX Runtime can load: it ${what}`);
