/** The demo on recorded outcomes: real models, real prompts, the gateway's own HTTP path. */
import { mergeDatasets, readCatalog, readDataset } from '../../datasets/index.ts';
import { loadArtifact } from '../../router/artifact/artifact.ts';
import { trainedOn } from '../../router/artifact/trained-on.ts';
import { type LoopOutcome, runLoop, type Say } from './loop.ts';
import {
  type Recorded,
  type RecordedOptions,
  type RecordedTask,
  recordedChecker,
  recordedWorld,
  startRecorded,
} from './recorded.ts';

export interface RecordedOutcome extends LoopOutcome<RecordedTask> {
  readonly options: RecordedOptions;
  readonly world: Recorded;
}

/**
 * The cheapest and the best model are asked by name, over HTTP; the others' figures follow from what was recorded.
 * @param dirs folders of outcomes
 * @throws what reading the data throws, and what {@link recordedWorld} throws
 */
export async function runRecorded(
  dirs: readonly string[],
  options: RecordedOptions,
  say: Say,
  stop: AbortSignal,
): Promise<RecordedOutcome> {
  say('reading the recorded outcomes');
  const datasets = [];
  for (const dir of dirs) datasets.push(await readDataset(dir));
  const dataset = datasets.length === 1 ? datasets[0]! : mergeDatasets(datasets);
  const artifact = await loadArtifact();
  const known = artifact.heads.modelIds;
  const priced = (await readCatalog()).models.flatMap(({ id, like, outputUsdPerMTok }) => {
    const head = [id, like].find((name) => name !== undefined && known.includes(name));
    return head === undefined ? [] : [{ like: head, outputUsdPerMTok }];
  });
  const world = recordedWorld(dataset, { seen: trainedOn(artifact.manifest).seen, modelIds: known, priced }, options);
  await artifact.encoder.close?.();
  const named = [...new Set([0, world.best])].map((j) => world.candidates[j]!.id);
  const outcome = await runLoop(
    {
      candidates: world.candidates,
      start: () => startRecorded(world),
      what: `a stand-in for ${world.candidates.length} recorded models`,
      noun: 'prompts',
      practice: world.practice,
      fresh: world.fresh,
      named,
      checker: recordedChecker(world),
    },
    say,
    stop,
  );
  return { ...outcome, options, world };
}
