/** Prompts → embeddings: the one they carry, else the encoder's, computed once per prompt object. */
import { type Prompt, RoutingError } from '../../datasets/index.ts';
import type { Encoder } from '../encoder/encoder.ts';

const cache = new WeakMap<Encoder, WeakMap<Prompt, Float32Array>>();

/**
 * n prompts → n × d.
 * @throws `ARTIFACT_MISMATCH` when a prompt carries an embedding of another length
 */
export async function embed(encoder: Encoder, prompts: readonly Prompt[]): Promise<Float32Array> {
  const d = encoder.dimension;
  const known = cache.get(encoder) ?? new WeakMap<Prompt, Float32Array>();
  cache.set(encoder, known);
  const out = new Float32Array(prompts.length * d);
  for (const [i, prompt] of prompts.entries()) {
    let z = prompt.embedding ?? known.get(prompt);
    if (z === undefined) {
      z = await encoder.encode([prompt.text]);
      known.set(prompt, z);
    }
    if (z.length !== d) {
      throw new RoutingError(
        'ARTIFACT_MISMATCH',
        `prompt ${prompt.id} carries an embedding of ${z.length} numbers, encoder ${encoder.id} makes ${d}`,
      );
    }
    out.set(z, i * d);
  }
  return out;
}
