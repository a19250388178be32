/** Embeddings at unit length, so that nearness is by direction, as all published neighbour and cluster routers have it. */

/** @param z n × d @returns n × d; a row of zeros stays */
export function unitLength(z: Float32Array, d: number): Float32Array {
  const out = Float32Array.from(z);
  for (let i = 0; i < out.length; i += d) {
    let s = 0;
    for (let a = 0; a < d; a++) s += out[i + a]! ** 2;
    const scale = s > 0 ? 1 / Math.sqrt(s) : 0;
    for (let a = 0; a < d; a++) out[i + a]! *= scale;
  }
  return out;
}
