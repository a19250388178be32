/**
 * Writes ONNX models from TypeScript: just the parts of the protobuf format that our graphs need.
 * @see onnx/onnx.proto (ONNX IR), field numbers named beside each writer
 */

import { concat as joinBytes, varint } from './bytes.ts';

const FLOAT = 1;
const INT8 = 3;
const INT32 = 6;
const INT64 = 7;
const INPUT_TYPES = { float: FLOAT, int32: INT32, int64: INT64 };

export type TensorData = Float32Array | Int8Array | BigInt64Array;
type Dim = number | string; // a name stands for a size known only at run time

/** An ONNX graph under construction. Values are named; every operator returns the name of its output. */
export class GraphBuilder {
  private readonly nodes: Bytes[] = [];
  private readonly initializers: Bytes[] = [];
  private readonly inputs: Bytes[] = [];
  private readonly outputs: Bytes[] = [];
  private readonly name: string;
  private count = 0;

  constructor(name: string) {
    this.name = name;
  }

  input(name: string, type: keyof typeof INPUT_TYPES, dims: readonly Dim[]): string {
    this.inputs.push(valueInfo(name, INPUT_TYPES[type], dims));
    return name;
  }

  /** Declares an operator's result as an output of the model, under this name: its own, or that of a copy. */
  output(name: string, value: string, dims: readonly Dim[]): void {
    if (value !== name) this.op('Identity', [value], {}, name);
    this.outputs.push(valueInfo(name, FLOAT, dims));
  }

  constant(data: TensorData, dims: readonly number[], name = `c${this.count++}`): string {
    const type = data instanceof Float32Array ? FLOAT : data instanceof Int8Array ? INT8 : INT64;
    this.initializers.push(
      concat(
        ...dims.map((d) => varintField(1, d)),
        varintField(2, type),
        stringField(8, name),
        bytesField(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
      ),
    );
    return name;
  }

  scalar(value: number): string {
    return this.constant(Float32Array.of(value), [1]);
  }

  op(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, number | readonly number[]>> = {},
    out: string | readonly string[] = `v${this.count++}`,
  ): string {
    const outs = typeof out === 'string' ? [out] : out;
    this.nodes.push(
      concat(
        ...inputs.map((i) => stringField(1, i)),
        ...outs.map((o) => stringField(2, o)),
        stringField(4, type),
        ...Object.entries(attributes).map(([name, value]) =>
          bytesField(
            5,
            typeof value === 'number'
              ? concat(stringField(1, name), varintField(3, value), varintField(20, 2)) // INT
              : concat(stringField(1, name), ...value.map((v) => varintField(8, v)), varintField(20, 7)), // INTS
          ),
        ),
      ),
    );
    return outs[0]!;
  }

  /** Columns of an [n, w] value, cut into parts of these widths. @param names of the parts; default: new ones */
  columns(value: string, widths: readonly number[], names: readonly string[] = widths.map(() => `v${this.count++}`)) {
    const sizes = this.constant(BigInt64Array.from(widths, BigInt), [widths.length]);
    this.op('Split', [value, sizes], { axis: 1 }, names);
    return names;
  }

  /** The model file. `metadata` is stored as its producer's key-value properties. */
  build(): Uint8Array {
    const graph = concat(
      ...this.nodes.map((n) => bytesField(1, n)),
      stringField(2, this.name),
      ...this.initializers.map((t) => bytesField(5, t)),
      ...this.inputs.map((v) => bytesField(11, v)),
      ...this.outputs.map((v) => bytesField(12, v)),
    );
    return concat(
      varintField(1, 8), // IR version
      stringField(2, 'pointsman'),
      bytesField(7, graph),
      bytesField(8, concat(stringField(1, ''), varintField(2, 17))), // opset 17
    );
  }
}

type Bytes = Uint8Array;
const utf8 = new TextEncoder();

function valueInfo(name: string, elementType: number, dims: readonly Dim[]): Bytes {
  const shape = dims.map((d) => bytesField(1, typeof d === 'number' ? varintField(1, d) : stringField(2, d)));
  const tensor = concat(varintField(1, elementType), bytesField(2, concat(...shape)));
  return concat(stringField(1, name), bytesField(2, bytesField(1, tensor)));
}

const varintField = (field: number, value: number): Bytes => Uint8Array.from([...varint(field * 8), ...varint(value)]);

function bytesField(field: number, data: Bytes): Bytes {
  return concat(Uint8Array.from([...varint(field * 8 + 2), ...varint(data.length)]), data);
}

const stringField = (field: number, text: string): Bytes => bytesField(field, utf8.encode(text));

const concat = (...parts: Bytes[]): Bytes => joinBytes(parts);
