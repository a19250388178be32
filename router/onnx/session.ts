/** Running ONNX models on one core, without surprises: no spinning threads, no external files, no usage reports. */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { RoutingError } from '../../datasets/index.ts';

/** An input: int32 or float32 numbers and their shape. */
export interface Feed {
  readonly data: Float32Array | Int32Array;
  readonly dims: readonly number[];
}

/** A loaded model. */
export interface Session {
  /** Shape of each input by its name; a word stands for a size known only at run time. */
  readonly inputs: Readonly<Record<string, readonly (number | string)[]>>;
  readonly outputs: readonly string[];
  /** Every output is float32. @param wanted names of the outputs to compute; default: all */
  run(feeds: Readonly<Record<string, Feed>>, wanted?: readonly string[]): Promise<Record<string, Float32Array>>;
}

/** @throws `ARTIFACT_DAMAGED` when the bytes are no ONNX model */
export async function openSession(model: Uint8Array, name: string): Promise<Session> {
  const ort = await onnxRuntime();
  let session: InferenceSession;
  try {
    session = await ort.InferenceSession.create(model, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
  } catch (cause) {
    throw new RoutingError('ARTIFACT_DAMAGED', `${name}: not a model that ONNX Runtime can load`, { cause });
  }
  return {
    inputs: Object.fromEntries(session.inputMetadata.map((input) => [input.name, input.isTensor ? input.shape : []])),
    outputs: session.outputNames,
    async run(feeds, wanted = session.outputNames) {
      const tensors: Record<string, OrtTensor> = {};
      for (const [input, { data, dims }] of Object.entries(feeds)) {
        tensors[input] =
          data instanceof Int32Array ? new ort.Tensor('int32', data, dims) : new ort.Tensor('float32', data, dims);
      }
      const results = await session.run(tensors, wanted);
      return Object.fromEntries(Object.entries(results).map(([output, t]) => [output, t.data as Float32Array]));
    },
  };
}

/** ONNX Runtime 1.30 reports its usage to its vendor unless told not to before it loads: it is told here, for all. */
export async function onnxRuntime(): Promise<typeof import('onnxruntime-node')> {
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
  const module = await import('onnxruntime-node');
  return module.default ?? module;
}
