/**
 * Two graphs as one: the first one's output is the second one's input. To run one session instead of two saves a turn
 * of the event loop and the way in and out of the runtime, a tenth of a decision.
 * @see onnx/onnx.proto (ONNX IR) for the field numbers
 */
import { RoutingError } from '../../datasets/index.ts';
import { concat, varint } from './bytes.ts';

/** A field of a protobuf message: its number, its bytes with the tag, and its content where it is length-delimited. */
interface Field {
  readonly number: number;
  readonly whole: Uint8Array;
  readonly content: Uint8Array | null;
}

const MODEL_GRAPH = 7;
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12 };
const NODE = { input: 1, output: 2 };
const TENSOR_NAME = 8;
const VALUE_NAME = 1;

/**
 * @param first  model bytes
 * @param second model bytes, both as `graph.ts` writes them: their only common names are outputs and `through`
 * @param through name of an output of the first that is the only input of the second
 * @returns a model with the first one's inputs and the outputs of both
 * @throws `ARTIFACT_DAMAGED` when either is no protobuf message of a model
 */
export function joinModels(first: Uint8Array, second: Uint8Array, through: string): Uint8Array {
  const a = fieldsOf(first);
  const graphA = fieldsOf(graphOf(a));
  const graphB = fieldsOf(graphOf(fieldsOf(second)));
  const kept = new Set([through, ...named(graphB, GRAPH.output)]);
  const rename = (name: string): string => (name === '' || kept.has(name) ? name : `second/${name}`);
  const joined = [
    ...graphA,
    ...graphB.flatMap(({ number, content }) => {
      if (number === GRAPH.node) return [field(number, renamed(content!, [NODE.input, NODE.output], rename))];
      if (number === GRAPH.initializer) return [field(number, renamed(content!, [TENSOR_NAME], rename))];
      if (number === GRAPH.output) return [field(number, content!)];
      return [];
    }),
  ];
  return concat(
    a.map((f) => (f.number === MODEL_GRAPH ? field(MODEL_GRAPH, concat(joined.map(wholeOf))) : f)).map(wholeOf),
  );
}

const wholeOf = ({ whole }: Field): Uint8Array => whole;

function graphOf(model: readonly Field[]): Uint8Array {
  const graph = model.find(({ number }) => number === MODEL_GRAPH)?.content;
  if (!graph) throw damaged();
  return graph;
}

/** Names of the values that a graph declares in this field. */
const named = (graph: readonly Field[], number: number): string[] =>
  graph
    .filter((f) => f.number === number)
    .map(({ content }) => utf8.decode(fieldsOf(content!).find((f) => f.number === VALUE_NAME)?.content ?? undefined));

const renamed = (message: Uint8Array, numbers: readonly number[], rename: (name: string) => string): Uint8Array =>
  concat(
    fieldsOf(message).map(({ number, whole, content }) =>
      numbers.includes(number) ? field(number, new TextEncoder().encode(rename(utf8.decode(content!)))).whole : whole,
    ),
  );

const utf8 = new TextDecoder();

function field(number: number, content: Uint8Array): Field {
  const whole = concat([Uint8Array.from([...varint(number * 8 + 2), ...varint(content.length)]), content]);
  return { number, whole, content };
}

/** @throws `ARTIFACT_DAMAGED` where the bytes end inside a field, or a field is of a kind that these models have none of */
function fieldsOf(message: Uint8Array): Field[] {
  const out: Field[] = [];
  let at = 0;
  const read = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++];
      if (byte === undefined || factor > 2 ** 56) throw damaged();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const from = at;
    const tag = read();
    const kind = tag % 8;
    let content: Uint8Array | null = null;
    if (kind === 0) read();
    else if (kind === 2) {
      const length = read();
      if (at + length > message.length) throw damaged();
      content = message.subarray(at, at + length);
      at += length;
    } else throw damaged();
    out.push({ number: Math.floor(tag / 8), whole: message.subarray(from, at), content });
  }
  return out;
}

const damaged = (): RoutingError => new RoutingError('ARTIFACT_DAMAGED', 'not a model that ONNX Runtime can load');
