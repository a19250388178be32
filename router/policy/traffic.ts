/** A sample of prompts that an artifact carries, as embeddings, so that targets and budgets can be solved for any candidates and prices. */
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';

export const Traffic = z.strictObject({
  /** Where the prompts are from. */
  sources: z.array(z.string()),
  /** d, length of an embedding. */
  dimension: z.number().int().positive(),
  /** n × d, row-major: 32-bit floats, little-endian, in base64. */
  embeddings: z.string(),
  /** n: estimated tokens of each prompt. */
  inputTokens: z.array(z.number().nonnegative()).min(1),
  /**
   * Tolerances that may be mixed, ascending. `optimism`: by how much routed quality minus the reference model's was
   * predicted too high there on the calibration part, since what is chosen for its prediction disappoints.
   */
  settings: z.array(z.strictObject({ tolerance: z.number().min(0).max(1), optimism: z.number() })).min(1),
});
export type Traffic = z.infer<typeof Traffic>;

/** @param embeddings n × d */
export function encodeTraffic(embeddings: Float32Array, rest: Omit<Traffic, 'embeddings' | 'dimension'>): Traffic {
  const bytes = Buffer.alloc(embeddings.length * 4);
  embeddings.forEach((value, i) => {
    bytes.writeFloatLE(value, i * 4);
  });
  const dimension = embeddings.length / rest.inputTokens.length;
  return { ...rest, dimension, embeddings: bytes.toString('base64') };
}

/** @returns n × d; @throws `ARTIFACT_DAMAGED` when the numbers are not as many as they should be */
export function trafficEmbeddings({ embeddings, dimension, inputTokens }: Traffic): Float32Array {
  const bytes = Buffer.from(embeddings, 'base64');
  if (bytes.length !== 4 * dimension * inputTokens.length) {
    throw new RoutingError(
      'ARTIFACT_DAMAGED',
      `policy.json: traffic holds ${bytes.length} bytes of embeddings, not ${inputTokens.length} × ${dimension} × 4; retrain the artifact`,
    );
  }
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
}
