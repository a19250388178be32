/** The computing part of a retraining, without database: samples in, verdict and perhaps a new artifact out. */
import { basename } from 'node:path';
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { loadArtifact, readEncoder, saveArtifact } from '../../router/artifact/artifact.ts';
import { type Knobs, withOverrides } from '../../router/policy/policy.ts';
import { refitHeads } from '../../router/training/refit-heads.ts';
import { unusablePromotion } from './artifacts.ts';
import { compare } from './compare.ts';
import { type Comparison, type GateOptions, judge, type Verdict } from './gate.ts';
import { embeddingsOf, logTable, type Sample } from './log.ts';

export interface FitJob {
  readonly samples: readonly Sample[];
  /** Artifact whose heads are the prior: one that no log went into. */
  readonly baseDir: string;
  /** Artifact in force; a promoted one, in a folder named by its hash, where it is not the base. */
  readonly incumbentDir: string;
  /** Folder of their transformer, where it is no longer where it lay when they were trained. */
  readonly encoderDir: string | undefined;
  /** Samples first labelled by then went into the incumbent; null: none did. */
  readonly trainedThrough: number | null;
  readonly candidates: readonly Candidate[];
  readonly policy: Partial<Knobs>;
  readonly gate: GateOptions;
  readonly seed: number;
  /** Where a promoted artifact is saved, by its hash. */
  readonly saveUnder: string;
}

export interface FitResult {
  readonly incumbent: string;
  readonly base: string;
  /** Judged answers that the incumbent never saw, of sessions that it never saw. */
  readonly unseen: number;
  readonly comparison: Comparison | null;
  readonly verdict: Verdict;
  readonly saved: { readonly hash: string; readonly dir: string } | null;
}

export async function fitAndJudge(job: FitJob): Promise<FitResult> {
  const { samples, candidates, gate, seed, encoderDir } = job;
  const base = await loadArtifact(job.baseDir, { encoderDir });
  const incumbent =
    job.incumbentDir === job.baseDir
      ? base
      : await loadArtifact(job.incumbentDir, { encoderDir }).catch((error) => {
          throw unusablePromotion(basename(job.incumbentDir), error);
        });
  const wasSeen = ({ firstLabelledAt }: Sample) => job.trainedThrough !== null && firstLabelledAt <= job.trainedThrough;
  const seenGroups = new Set(samples.filter(wasSeen).map(({ group }) => group));
  const seen = samples.filter(({ group }) => seenGroups.has(group));
  const unseen = samples.filter(({ group }) => !seenGroups.has(group));
  const likes = new Map(candidates.map(({ id, like }) => [id, like]));
  const likeOf = (id: string) => (base.heads.modelIds.includes(id) ? id : likes.get(id));
  const refit = (rows: readonly Sample[]) =>
    refitHeads(base.heads, logTable(rows), embeddingsOf(rows), { seed, likeOf });
  const comparison =
    unseen.length < gate.minFeedback
      ? null
      : compare(seen, unseen, {
          incumbent: incumbent.heads,
          candidates,
          policy: withOverrides(incumbent.policy, job.policy),
          refit,
          seed,
        });
  const verdict = judge(unseen.length, comparison, gate);
  const saved = verdict.promote ? save(job.saveUnder) : null;
  return { incumbent: incumbent.hash, base: base.hash, unseen: unseen.length, comparison, verdict, saved };

  /** What was judged learned from four fifths; what is saved learns from all. */
  function save(folder: string) {
    const { training, notes, metrics } = base.manifest;
    const log = {
      name: 'log',
      prompts: samples.length,
      groups: new Set(samples.map(({ group }) => group)).size,
      outcomes: samples.length,
    };
    return saveArtifact(
      folder,
      {
        encoder: readEncoder(base),
        heads: refit(samples),
        // A proof about other heads' choices proves nothing of these.
        policy: { ...incumbent.policy, certificate: null },
        training: { ...training, data: [...training.data, log] },
        metrics: { ...metrics, againstParent: comparison },
        notes: [...notes, `Heads refitted on ${samples.length} judged answers of the operator's own traffic.`],
        parent: base.hash,
        created: new Date(),
      },
      { underHash: true },
    );
  }
}
