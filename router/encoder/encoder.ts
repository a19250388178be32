/** Texts → embeddings. Frozen once fitted; heads are trained on its output. */
export interface Encoder {
  /** Names the encoder and its weights: embeddings of different ids do not mix. */
  readonly id: string;
  /** d, length of an embedding. */
  readonly dimension: number;
  /** Coordinate that falls when a text is unlike what the encoder was learned on, where there is one. */
  readonly knownCoordinate?: number;
  /** n texts → n × d, row-major. Any text is accepted: an empty one, a megabyte, lone surrogates. */
  encode(texts: readonly string[]): Promise<Float32Array>;
  /** Frees what the encoder holds beyond memory, such as a thread, once all is answered. A later text takes it up again. */
  close?(): Promise<void>;
}
