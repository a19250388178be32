import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RoutingError } from '../../../datasets/index.ts';
import { defaultArtifactDir } from '../../../router/artifact/artifact.ts';
import { concat, varint } from '../../../router/onnx/bytes.ts';
import { GraphBuilder } from '../../../router/onnx/graph.ts';
import { inspectModel } from '../../../router/onnx/inspect.ts';

const shipped = ['encoder.onnx', 'heads.onnx'].map((name) => ({
  name,
  bytes: new Uint8Array(readFileSync(join(defaultArtifactDir(), name))),
}));

type Bytes = Uint8Array;
const message = (...fields: Bytes[]): Bytes => concat(fields);
const number = (field: number, value: number): Bytes => Uint8Array.from([...varint(8 * field), ...varint(value)]);
const inner = (field: number, content: Bytes | string): Bytes => {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return concat([Uint8Array.from([...varint(8 * field + 2), ...varint(bytes.length)]), bytes]);
};

const relu = message(inner(1, 'x'), inner(2, 'y'), inner(4, 'Relu'));
const opset = (domain: string) => inner(8, message(inner(1, domain), number(2, 17)));
const modelOf = (graph: Bytes, ...more: Bytes[]) => message(number(1, 8), inner(7, graph), opset(''), ...more);
const node = (...more: Bytes[]) => inner(1, message(relu, ...more));
const weights = (...more: Bytes[]) => message(number(1, 1), number(2, 1), inner(8, 'w'), ...more);
const external = message(inner(13, message(inner(1, 'location'), inner(2, '../../etc/secret'))), number(14, 1));

const codeOf = (bytes: Bytes): string => {
  try {
    inspectModel(bytes, 'model');
    return 'fine';
  } catch (error) {
    if (error instanceof RoutingError) return error.code;
    throw error;
  }
};

describe('a model before it is run', () => {
  test.each(shipped)('$name as it is shipped passes', ({ bytes }) => {
    expect(codeOf(bytes)).toBe('fine');
  });

  test('what our own writer makes passes', () => {
    const graph = new GraphBuilder('g');
    const x = graph.input('x', 'float', ['n', 2]);
    const w = graph.constant(Float32Array.of(1, 2, 3, 4), [2, 2]);
    graph.output('y', graph.op('MatMul', [x, w]), ['n', 2]);
    expect(codeOf(graph.build())).toBe('fine');
    expect(codeOf(modelOf(message(node(), inner(5, weights(inner(9, 'abcd'))))))).toBe('fine');
    expect(codeOf(modelOf(message(node(inner(7, 'ai.onnx.ml'))), opset('ai.onnx.ml')))).toBe('fine');
  });

  test.each([
    ['an operator of a library', modelOf(message(node(inner(7, 'com.evil'))))],
    ['operators of the runtime’s vendor', modelOf(message(node(inner(7, 'com.microsoft'))))],
    ['a domain given twice, where the last counts', modelOf(message(node(inner(7, ''), inner(7, 'com.evil'))))],
    ['an import of foreign operators', modelOf(message(node()), opset('com.evil'))],
    ['weights in another file', modelOf(message(inner(5, weights(external))))],
    ['the same by the place alone', modelOf(message(inner(5, weights(number(14, 1)))))],
    ['the same by the name alone', modelOf(message(inner(5, weights(inner(13, message(inner(1, 'location')))))))],
    // The runtime reads 32 bits of it: 2³² + 1 is 1 to it.
    ['a place that is cut to 1', modelOf(message(inner(5, weights(number(14, 2 ** 32 + 1)))))],
    [
      'such weights in an attribute',
      modelOf(message(node(inner(5, message(inner(1, 'value'), inner(5, weights(external))))))),
    ],
    ['… among several', modelOf(message(node(inner(5, message(inner(10, weights(external)))))))],
    ['… in sparse ones', modelOf(message(inner(15, message(inner(1, weights(external))))))],
    ['… in their indices', modelOf(message(node(inner(5, message(inner(22, message(inner(2, weights(external)))))))))],
    [
      '… in a graph within a node',
      modelOf(message(node(inner(5, message(inner(6, message(inner(5, weights(external))))))))),
    ],
    [
      'an operator of a library there',
      modelOf(message(node(inner(5, message(inner(11, message(node(inner(7, 'com.evil'))))))))),
    ],
    ['… in a second graph of the model', modelOf(message(node()), inner(7, message(node(inner(7, 'com.evil')))))],
    ['functions of its own', modelOf(message(node()), inner(25, message(inner(1, 'f'))))],
    ['a training graph', modelOf(message(node()), inner(20, message()))],
    ['a field of a later version', modelOf(message(node()), inner(99, 'what'))],
    ['a number of a later version', modelOf(message(node(number(77, 1))))],
  ])('with %s is refused', (_, bytes) => {
    expect(codeOf(bytes)).toBe('ARTIFACT_UNTRUSTED');
  });

  test('with graphs in graphs without end is refused', () => {
    let graph = message(node());
    for (let depth = 0; depth < 20; depth++) graph = message(node(inner(5, message(inner(6, graph)))));
    expect(codeOf(modelOf(graph))).toBe('ARTIFACT_UNTRUSTED');
  });

  test('with more nodes than any router has is refused', () => {
    const one = node();
    expect(codeOf(modelOf(concat(Array.from({ length: 100_001 }, () => one))))).toBe('ARTIFACT_UNTRUSTED');
  });

  test.each([
    ['nothing', new Uint8Array()],
    ['text', new TextEncoder().encode('<html>404</html>')],
    ['no graph', message(number(1, 8), opset(''))],
    ['a group, which no model has', modelOf(message(Uint8Array.of(8 * 1 + 3)))],
    ['a field without a number', Uint8Array.of(2, 0)],
    ['a length beyond its end', Uint8Array.of(8 * 7 + 2, 200, 1)],
    ['a length beyond all', Uint8Array.of(8 * 7 + 2, 255, 255, 255, 255, 255, 255, 255, 255, 127)],
    ['a number without end', Uint8Array.from({ length: 30 }, () => 255)],
  ])('that is %s is damaged', (_, bytes) => {
    expect(codeOf(bytes)).toMatch(/ARTIFACT_(DAMAGED|UNTRUSTED)/);
  });

  test('the name of a foreign domain is not printed as it came', () => {
    expect(() =>
      inspectModel(modelOf(message(node(inner(7, 'evil\u001b[31m\n2026 all is well')))), 'heads.onnx'),
    ).toThrow(/^heads\.onnx: uses operators of evil\?\?31m\?2026\?all\?is\?well, /);
  });

  test.each(shipped)(
    '$name with bytes changed, dropped or doubled is refused or passes, and never crashes',
    ({ bytes }) => {
      const at = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
      // Where the fields are: the numbers of a tensor are nothing to look into.
      const place = fc.oneof(
        at,
        at.map((share) => (share * 2000) / bytes.length),
        at.map((share) => 1 - (share * 2000) / bytes.length),
      );
      const change = fc.record({
        place,
        value: fc.integer({ min: 0, max: 255 }),
        how: fc.constantFrom('set', 'drop', 'add'),
      });
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
          let model: Uint8Array = bytes;
          for (const { place, value, how } of changes) {
            const i = Math.floor(place * model.length);
            if (how === 'set') {
              model = model.slice();
              model[i] = value;
            } else {
              const rest = model.subarray(how === 'drop' ? i + 1 : i);
              model = concat([model.subarray(0, i), ...(how === 'add' ? [Uint8Array.of(value)] : []), rest]);
            }
          }
          expect(['fine', 'ARTIFACT_DAMAGED', 'ARTIFACT_UNTRUSTED']).toContain(codeOf(model));
        }),
        { numRuns: 150 },
      );
    },
  );

  test.each(shipped)('$name cut anywhere is damaged', ({ bytes }) => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length - 1 }), (length) => {
        expect(codeOf(bytes.subarray(0, length))).not.toBe('ARTIFACT_UNTRUSTED');
        // What is after the graph may be missing: the runtime says so then.
        if (length < bytes.length - 100) expect(codeOf(bytes.subarray(0, length))).toBe('ARTIFACT_DAMAGED');
      }),
      { numRuns: 200 },
    );
  });

  test('any bytes at all are refused or pass', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(['fine', 'ARTIFACT_DAMAGED', 'ARTIFACT_UNTRUSTED']).toContain(codeOf(bytes));
      }),
      { numRuns: 2000 },
    );
  });
});
