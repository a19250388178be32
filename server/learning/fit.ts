/** The computing part of a retraining, without database: samples in, verdict and perhaps a new artifact out. */
import { basename } from 'node:path';
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import { loadArtifact, readEncoder, saveArtifact } from '../../router/artifact/artifact.ts';
import { type Heads, predictHeads, selectHeads } from '../../router/heads/heads.ts';
import { type Knobs, withOverrides } from '../../router/policy/policy.ts';
import { refitHeads } from '../../router/training/refit-heads.ts';
import { andHints, counted } from '../counted.ts';
import { type Agreement, teamAgreement } from '../feedback/agreement.ts';
import { unusablePromotion } from './artifacts.ts';
import { compare } from './compare.ts';
import { decisionTimes } from './decision-times.ts';
import { fitEncoder, whyNoEncoder } from './encoder-fit.ts';
import type { FitData } from './fit-input.ts';
import { type Comparison, type GateOptions, judge, type Verdict } from './gate.ts';
import { embeddingsOf, logTable, type Sample } from './log.ts';
import { factsOf, fitObservation } from './observation.ts';
import { fitWeights, type WeightOptions } from './weights.ts';

export interface FitJob {
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
  /** Saved also where the comparison cannot tell, for a trial that can. Default: only what is promoted. */
  readonly saveUnsure?: boolean;
  /** Learn the encoder, too, from the answers whose prompts are kept. */
  readonly encoder?: boolean;
  /** How much each answer counts. Default: all the same. */
  readonly learning?: Pick<WeightOptions, 'halfLifeDays' | 'hints' | 'maxTeamShare' | 'maxKeyShare'>;
  /** Teams that no new router may serve worse. Default: none. */
  readonly protectedTeams?: readonly string[];
}

export interface LearnedFrom {
  /** Answers that somebody judged, and their sessions. */
  readonly samples: number;
  readonly sessions: number;
  /** Answers that only a hint speaks of and that were learned from, too; none unless that was asked for. */
  readonly hints: number;
  /** How many judged answers each model has, most first. */
  readonly models: readonly { readonly model: string; readonly samples: number; readonly quality: number }[];
  /** Newest label, milliseconds since 1970; null without any. */
  readonly trainedThrough: number | null;
  /** Sum of the weights: how many full answers the log is worth. */
  readonly weight: number;
  /** Teams whose verdicts run against everybody else's: they count a twentieth. */
  readonly contradicting: readonly string[];
}

export interface FitResult {
  readonly learned: LearnedFrom;
  readonly incumbent: string;
  /** Hash of what the heads were fitted from, and its folder where that is not the job's `baseDir`. */
  readonly base: string;
  readonly baseDir?: string;
  /** Judged answers that the incumbent never saw, of sessions that it never saw. */
  readonly unseen: number;
  readonly comparison: Comparison | null;
  readonly verdict: Verdict;
  readonly saved: { readonly hash: string; readonly dir: string } | null;
}

/** Refits of one comparison, and the one that is saved. */
const REFITS = 6;

/** @param onProgress what is being done, and the share of the whole that is done, in [0, 1] */
export async function fitAndJudge(
  job: FitJob & FitData,
  onProgress: (step: string, share: number) => void = () => {},
): Promise<FitResult> {
  const { candidates, gate, seed, encoderDir, texts = new Map() } = job;
  // What nothing is learned from by choice is not there for anything that follows.
  const teaching = job.learning?.hints ? job.samples : job.samples.filter(isJudged);
  const samples = job.encoder ? teaching.filter(({ id }) => texts.has(id)) : teaching;
  const base = await loadArtifact(job.baseDir, { encoderDir });
  const incumbent =
    job.incumbentDir === job.baseDir
      ? base
      : await loadArtifact(job.incumbentDir, { encoderDir }).catch((error) => {
          throw unusablePromotion(basename(job.incumbentDir), error);
        });
  const wasSeen = ({ firstLabelledAt }: Sample) => job.trainedThrough !== null && firstLabelledAt <= job.trainedThrough;
  // Of hints, too: the incumbent may have learned from them by another configuration.
  const seenGroups = new Set(job.samples.filter(wasSeen).map(({ group }) => group));
  const seen = samples.filter(({ group }) => seenGroups.has(group));
  const unseen = samples.filter(({ group }) => !seenGroups.has(group));
  const judgedUnseen = unseen.filter(isJudged).length;
  const likes = new Map(candidates.map(({ id, like }) => [id, like]));
  const likeOf = (id: string) => (base.heads.modelIds.includes(id) ? id : likes.get(id));
  const agreement = agreementOf(samples, base.heads, likeOf, seed);
  const weights = weightsOf({ ...job, samples }, agreement?.multipliers);
  const weightOf = new Map(samples.map((sample, i) => [sample, weights?.[i] ?? 1]));
  const policy = withOverrides(incumbent.policy, job.policy);
  const why = job.encoder ? whyNoEncoder(base, policy, samples.filter(isJudged).length) : null;
  if (why !== null) {
    const verdict = { ...judge(judgedUnseen, null, gate), reasons: [why] };
    const learned = learnedFrom(samples, weights, agreement);
    return { ...ended(), learned, comparison: null, verdict, saved: null };
  }
  onProgress('fitting', 0);
  const modelIds = [...new Set([...samples.map(({ executed }) => executed), ...candidates.map(({ id }) => id)])];
  const fresh = job.encoder ? await fitEncoder(base, samples, texts, { seed, modelIds, likeOf }) : null;
  const ground = fresh?.heads ?? base.heads;
  let refits = 0;
  let latest = ground;
  const refit = (all: readonly Sample[]) => {
    const rows = all.filter((sample) => weightOf.get(sample)! > 0);
    // What nothing may be learned from leaves everything as it was.
    if (rows.length === 0) return ground;
    const options = { seed, likeOf, weights: weights && Float64Array.from(rows, (row) => weightOf.get(row)!) };
    const seenBy = fresh === null ? rows : rows.map(fresh.renewed);
    latest = refitHeads(ground, logTable(rows), embeddingsOf(seenBy), options);
    onProgress('fitting', Math.min(1, ++refits / (REFITS + 1)));
    return latest;
  };
  const { protectedTeams } = job;
  const comparison =
    judgedUnseen < gate.minFeedback
      ? null
      : compare(seen, unseen, {
          incumbent: incumbent.heads,
          candidates,
          policy,
          refit,
          seed,
          ...(protectedTeams && { protectedTeams }),
          ...(fresh && { renewed: fresh.renewed }),
        });
  // Of a fold's heads: those that are saved have as many numbers.
  const times =
    fresh !== null ? null : comparison && decisionTimes(incumbent.heads, latest, unseen, candidates, policy);
  const verdict = judge(judgedUnseen, comparison, gate, times);
  const unsure = verdict.kind === 'insufficient' && comparison !== null;
  const saved = verdict.promote || (job.saveUnsure && unsure) ? save(job.saveUnder) : { saved: null };
  const learned = learnedFrom(samples, weights, agreement);
  return { ...ended(), learned, comparison, verdict, ...saved };

  function ended() {
    return { incumbent: incumbent.hash, base: base.hash, unseen: judgedUnseen };
  }

  /** What was judged learned from four fifths; what is saved learns from all. */
  function save(folder: string): Pick<FitResult, 'saved'> & Partial<Pick<FitResult, 'base' | 'baseDir'>> {
    const { training, notes, metrics } = base.manifest;
    const log = {
      name: 'log',
      prompts: samples.length,
      groups: new Set(samples.map(({ group }) => group)).size,
      outcomes: samples.length,
    };
    const common = {
      encoder: fresh?.part ?? readEncoder(base),
      // A proof about other heads' choices proves nothing of these, nor are forecasts over another encoder theirs.
      policy: { ...incumbent.policy, certificate: null, ...(fresh && { traffic: null }) },
      training,
      created: new Date(),
    };
    const underHash = { underHash: true };
    // Later logs are over the new encoder: its first heads, which no outcome of a log went into, are what they start from.
    const start =
      fresh &&
      saveArtifact(
        folder,
        {
          ...common,
          heads: fresh.heads,
          metrics,
          notes: [...notes, `Encoder learned from ${samples.length} prompts of the operator's own traffic.`],
          parent: base.hash,
        },
        underHash,
      );
    const saved = saveArtifact(
      folder,
      {
        ...common,
        heads: refit(samples),
        training: { ...training, data: [...training.data, log] },
        metrics: { ...metrics, againstParent: comparison },
        notes: [...notes, `Heads refitted on ${learnedText(samples)} of the operator's own traffic.`],
        parent: start?.hash ?? base.hash,
      },
      underHash,
    );
    return start === null ? { saved } : { saved, base: start.hash, baseDir: start.dir };
  }
}

const isJudged = ({ kind }: Sample): boolean => kind === 'verdict';

function learnedText(samples: readonly Sample[]): string {
  const judged = samples.filter(isJudged).length;
  return counted(judged, 'judged answer') + andHints(samples.length - judged);
}

/** Ages count from the newest answer, so that the same log gives the same heads whenever they are fitted. */
function weightsOf(
  { samples, learning, unjudged, changes }: FitJob & FitData,
  agreement: Float64Array | undefined,
): Float64Array | undefined {
  if (learning === undefined || samples.length === 0) return undefined;
  const judged = samples.filter(isJudged).map(factsOf);
  const observation = unjudged == null ? null : fitObservation(judged, unjudged);
  const observed = observation === null ? undefined : samples.map((s) => observation.probability(factsOf(s)));
  const now = samples.reduce((latest, { createdAt }) => Math.max(latest, createdAt), 0);
  return fitWeights(samples, { ...learning, changes, observed, agreement }, now);
}

/** Each team judged by heads that learned from the others; null where there is one alone. */
function agreementOf(
  samples: readonly Sample[],
  base: Heads,
  likeOf: (id: string) => string | undefined,
  seed: number,
): Agreement | null {
  const verdicts = samples.filter(isJudged);
  if (new Set(verdicts.map(({ tenant }) => tenant)).size < 2) return null;
  const forecast = (others: readonly Sample[], asked: readonly Sample[]): number[] => {
    const heads = refitHeads(base, logTable(others), embeddingsOf(others), { seed, likeOf });
    // The artifact may know a hundred models more; they are asked only where a model answered nobody else.
    const answered = [...new Set(asked.map(({ executed }) => executed))];
    const asking = answered.every((id) => heads.modelIds.includes(id)) ? selectHeads(heads, answered) : heads;
    const { quality } = predictHeads(asking, embeddingsOf(asked), asked.length);
    const m = asking.modelIds.length;
    const column = new Map(asking.modelIds.map((id, j) => [id, j]));
    return asked.map(({ executed }, i) => {
      const j = column.get(executed);
      // A model that answered nobody else: as good as the others on this prompt.
      if (j === undefined) return quality.subarray(i * m, i * m + m).reduce((a, b) => a + b, 0) / m;
      return quality[i * m + j]!;
    });
  };
  const weights = samples.map(({ kind, weight }) => (kind === 'verdict' ? weight : 0));
  return teamAgreement(samples, forecast, seed, weights);
}

function learnedFrom(
  samples: readonly Sample[],
  weights: Float64Array | undefined,
  agreement: Agreement | null,
): LearnedFrom {
  const judged = samples.filter(isJudged);
  const models = new Map<string, { samples: number; sum: number }>();
  for (const { executed, quality } of judged) {
    const entry = models.get(executed) ?? { samples: 0, sum: 0 };
    models.set(executed, { samples: entry.samples + 1, sum: entry.sum + quality });
  }
  return {
    samples: judged.length,
    sessions: new Set(judged.map(({ group }) => group)).size,
    hints: samples.length - judged.length,
    models: [...models]
      .map(([model, entry]) => ({ model, samples: entry.samples, quality: entry.sum / entry.samples }))
      .sort((a, b) => b.samples - a.samples || (a.model < b.model ? -1 : 1)),
    trainedThrough: samples.reduce<number | null>((t, s) => Math.max(t ?? 0, s.firstLabelledAt), null),
    contradicting: (agreement?.teams ?? []).filter(({ contradicts }) => contradicts).map(({ tenant }) => tenant),
    weight: weights === undefined ? samples.length : weights.reduce((a, b) => a + b, 0),
  };
}
