/** An artifact folder as a source of learned routers. Each folder is loaded once. */
import { type Artifact, loadArtifact } from '../router/artifact/artifact.ts';
import { trainedOn } from '../router/artifact/trained-on.ts';
import { artifactPredictor, ZOO } from '../router/estimators/index.ts';
import type { LearnedSource } from './learned.ts';

/** @param path artifact folder; default: the shipped one. @throws what {@link loadArtifact} throws */
export async function artifactSource(path?: string): Promise<LearnedSource> {
  return sourceOf(await loadArtifact(path));
}

/** The same for an artifact in memory. */
export function sourceOf(artifact: Artifact): LearnedSource {
  const { encoder } = artifact;
  return {
    hash: artifact.hash,
    encoderId: encoder.id,
    ...trainedOn(artifact.manifest),
    modelIds: artifact.heads.modelIds,
    asItIs: (modelIds) => artifactPredictor(artifact, modelIds),
    estimator: (name) => ZOO[name]({ encoder }),
  };
}
