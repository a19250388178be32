/** Running ONNX models on one core, without surprises: no spinning threads, no external files. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { RoutingError } from '../../datasets/index.ts';

export type Session = InferenceSession;
export { Tensor };

/** @throws `ARTIFACT_DAMAGED` when the bytes are no ONNX model */
export async function openSession(model: Uint8Array, name: string): Promise<Session> {
  try {
    return await InferenceSession.create(model, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
  } catch (cause) {
    throw new RoutingError('ARTIFACT_DAMAGED', `${name}: not a model that ONNX Runtime can load`, { cause });
  }
}

/** Runs a model; every output is float32. */
export async function run(session: Session, feeds: Record<string, Tensor>): Promise<Record<string, Float32Array>> {
  const results = await session.run(feeds);
  return Object.fromEntries(Object.entries(results).map(([name, t]) => [name, t.data as Float32Array]));
}
