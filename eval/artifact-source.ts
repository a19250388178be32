/** An artifact folder as a source of learned routers. Each folder is loaded once. */
import { type Artifact, hashGroup, loadArtifact, trainedOn } from '../router/artifact/artifact.ts';
import { artifactPredictor, ZOO } from '../router/estimators/index.ts';
import type { LearnedSource } from './learned.ts';

/** @param path artifact folder; default: the shipped one. @throws what {@link loadArtifact} throws */
export async function artifactSource(path?: string): Promise<LearnedSource> {
  return sourceOf(await loadArtifact(path));
}

/** The same for an artifact in memory. */
export function sourceOf(artifact: Artifact): LearnedSource {
  const { encoder } = artifact;
  const trained = new Set(artifact.manifest.training.trainedGroupHashes);
  return {
    hash: artifact.hash,
    encoderId: encoder.id,
    seen: trainedOn(artifact.manifest),
    fitted: (groupId) => trained.has(hashGroup(groupId)),
    modelIds: artifact.heads.modelIds,
    asItIs: (modelIds) => artifactPredictor(artifact, modelIds),
    estimator: (name) => ZOO[name]({ encoder }),
  };
}
