/** The library: `const router = await Router.load(); const decision = await router.route({ messages })`. */
import { z } from 'zod';
import { Candidate } from '../datasets/catalog/candidate.ts';
import { readCatalog } from '../datasets/catalog/catalog.ts';
import { RoutingError } from '../datasets/index.ts';
import { type Artifact, loadArtifact } from './artifact/artifact.ts';
import { type Decision, type FilterReason, isTooLong, NoCandidate } from './decision.ts';
import { tokensOf } from './heads/heads.ts';
import { unpackHeads } from './heads/onnx.ts';
import { certificateHolds, priceBook, type Standing } from './policy/certificate.ts';
import { type CandidatePrediction, decide, expectedCostUsd, filterCandidate } from './policy/decide.ts';
import { type Knobs, type Policy, withOverrides } from './policy/policy.ts';
import { meanQualities, place, solver } from './policy/solve.ts';
import { type RequestFacts, type RoutableRequest, readRequest } from './request.ts';

export interface RouterOptions {
  /** Artifact folder; default: the shipped one. */
  readonly artifact?: string;
  /** Folder of the transformer that the artifact was trained over, where it is no longer where it lay then. */
  readonly encoderDir?: string | undefined;
  /** Candidate models, each id once; default: the shipped catalog. */
  readonly candidates?: readonly z.input<typeof Candidate>[];
  /** Overrides of the artifact's policy. */
  readonly policy?: Partial<Knobs>;
}

export interface RouteOptions {
  /** Overrides for this request: `minQuality`, `maxCostUsd`, `dial`, `target`, `budget` … */
  readonly policy?: Partial<Knobs>;
  /** Leave nothing to chance: no exploration, no drawing between settings. */
  readonly critical?: boolean;
  /** Only these model ids. */
  readonly allowed?: readonly string[];
  /** Not these: no key, breaker open. */
  readonly unhealthy?: readonly string[];
  /** Uniform number in [0, 1) that decides exploration; default: a random one. Others are refused. */
  readonly draw?: number;
}

export interface Router {
  /** Content hash of the artifact. */
  readonly artifactHash: string;
  readonly encoderId: string;
  readonly candidates: readonly Candidate[];
  /** Knobs in force when a request brings none of its own. */
  readonly policy: Policy;
  /**
   * Whether the artifact's certificate covers what this router does.
   * @param outOfDomainShare share of recent prompts beyond `maxOutOfDomain`; null: not known
   */
  certificate(outOfDomainShare: number | null): Standing;
  /** @throws `INVALID_REQUEST`, `INVALID_CONFIG` (a knob out of range), `NO_CANDIDATE` (its message names every filter hit) */
  route(request: RoutableRequest, options?: RouteOptions): Promise<Decision>;
  /** Frees the encoder's thread, where it has one, once all is answered. A later request takes it up again. */
  close(): Promise<void>;
}

export const Router = {
  /**
   * Loads a fitted router.
   * @throws what {@link loadArtifact} throws; `INVALID_CONFIG` when a policy knob or a candidate is not as it should be
   */
  async load(options: RouterOptions = {}): Promise<Router> {
    const artifact = await loadArtifact(options.artifact, { encoderDir: options.encoderDir });
    try {
      const candidates = options.candidates ? checked(options.candidates) : (await readCatalog()).models;
      const router = createRouter(artifact, candidates, withOverrides(artifact.policy, options.policy));
      // An encoder that cannot run says so now, and the first request finds it warm.
      await artifact.predict('text');
      return router;
    } catch (error) {
      await artifact.encoder.close?.();
      throw error;
    }
  },
};

/**
 * A router over a loaded artifact.
 * @throws `INVALID_CONFIG` when the policy's target or budget cannot be solved
 */
export function createRouter(artifact: Artifact, candidates: readonly Candidate[], policy: Policy): Router {
  const placed = place(artifact.heads, candidates);
  const likeOf = new Map(placed.map(({ candidate, like }) => [candidate, like]));
  // Looked up once, not once a request.
  const seats = candidates.map((candidate): Seat => {
    const like = likeOf.get(candidate);
    return { candidate, like, column: like === undefined ? -1 : artifact.heads.modelIds.indexOf(like) };
  });
  const means = meanQualities(artifact.heads);
  const solve = solver(artifact.heads, placed, policy);
  solve(policy);
  const prices = priceBook(placed.map(({ candidate, like }) => ({ ...candidate, model: like })));
  const { certificate } = policy;
  const standing = (knobs: Policy, outOfDomainShare: number | null): Standing =>
    certificateHolds(certificate, { prices, outOfDomainShare, policy: knobs });
  const ownStanding = standing(policy, null);

  return {
    artifactHash: artifact.hash,
    encoderId: artifact.encoder.id,
    candidates,
    policy,
    certificate: (outOfDomainShare) => standing(policy, outOfDomainShare),
    close: async () => artifact.encoder.close?.(),
    async route(request, options = {}) {
      const draw = drawOf(options.draw);
      const knobs = withOverrides(policy, options.policy);
      const mix = solve(knobs);
      const { text, facts } = readRequest(request);
      const filtered: { model: string; reason: FilterReason }[] = [];
      const eligible: Seat[] = [];
      for (const seat of seats) {
        const { candidate, like } = seat;
        let reason: FilterReason | null = null;
        if (options.allowed && !options.allowed.includes(candidate.id)) reason = 'not_allowed';
        else if (options.unhealthy?.includes(candidate.id)) reason = 'unhealthy';
        else reason = filterCandidate(candidate, facts) ?? (like === undefined ? 'unknown_to_artifact' : null);
        if (reason !== null) filtered.push({ model: candidate.id, reason });
        else eligible.push(seat);
      }
      if (eligible.length === 0) throw nothingLeft(request, facts, candidates, filtered);

      const { embedding, all } = await artifact.predict(text);
      const { logits, logTokens, qualitySd, outOfDomain, difficulty } = unpackHeads(all);
      const predictions: CandidatePrediction[] = [];
      for (const { candidate, like, column: j } of eligible) {
        const outputTokens = tokensOf(logTokens[j]!);
        if (knobs.maxCostUsd !== null && expectedCostUsd(candidate, facts, outputTokens) > knobs.maxCostUsd) {
          filtered.push({ model: candidate.id, reason: 'over_max_cost' });
          continue;
        }
        const quality = 1 / (1 + Math.exp(-logits[j]!));
        predictions.push({
          candidate,
          like: like!,
          quality,
          qualitySd: qualitySd[j]!,
          meanQuality: means[j]!,
          outputTokens,
        });
      }
      if (predictions.length === 0) throw nothingLeft(request, facts, candidates, filtered);
      const critical = options.critical === true;
      const choice = decide(predictions, facts, knobs, outOfDomain, draw, {
        mix,
        critical,
      });
      return {
        ...choice,
        mix,
        certificate: knobs === policy ? ownStanding : standing(knobs, null),
        filtered,
        outOfDomain,
        difficulty,
        // A row without overlap: kept among the facts, so that off-policy estimates can leave it out.
        facts: critical ? { ...facts, critical } : facts,
        artifact: artifact.hash,
        encoderId: artifact.encoder.id,
        embedding,
      };
    },
  };
}

/** @throws `INVALID_CONFIG` for a number outside [0, 1): no propensity would be true of what it picks */
function drawOf(draw: number | undefined): number {
  if (draw === undefined) return Math.random();
  if (typeof draw === 'number' && draw >= 0 && draw < 1) return draw;
  throw new RoutingError('INVALID_CONFIG', `draw: ${draw} is not in [0, 1)`);
}

/** A candidate, the artifact's model that speaks for it, and that model's column among the heads. */
interface Seat {
  readonly candidate: Candidate;
  readonly like: string | undefined;
  readonly column: number;
}

/** @throws `INVALID_CONFIG` naming the candidate and field at fault */
function checked(candidates: readonly z.input<typeof Candidate>[]): readonly Candidate[] {
  const parsed = z.array(Candidate).safeParse(candidates);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new RoutingError('INVALID_CONFIG', `${['candidates', ...issue.path].join('.')}: ${issue.message}`);
  }
  const ids = parsed.data.map((c) => c.id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined)
    throw new RoutingError('INVALID_CONFIG', `candidates: ${twice} stands there twice; keep one`);
  return parsed.data;
}

function nothingLeft(
  request: RoutableRequest,
  { inputTokens, maxOutputTokens }: RequestFacts,
  candidates: readonly Candidate[],
  filtered: Decision['filtered'],
): NoCandidate {
  const byReason = new Map<FilterReason, string[]>();
  for (const { model, reason } of filtered) byReason.set(reason, [...(byReason.get(reason) ?? []), model]);
  const largest = Math.max(0, ...candidates.map((c) => c.contextTokens));
  const answer = request.max_completion_tokens != null ? 'max_completion_tokens' : 'max_tokens';
  const reasons = [...byReason].map(
    ([reason, models]) =>
      `${reason} (${models.slice(0, 3).join(', ')}${models.length > 3 ? ` and ${models.length - 3} more` : ''})`,
  );
  const hints: string[] = [];
  if (byReason.has('context_too_small')) {
    const asked = maxOutputTokens === undefined ? '' : `, ${answer} asks for ${maxOutputTokens} more`;
    hints.push(
      `the prompt is about ${inputTokens} tokens${asked}; the maximum context length among the candidates is ${largest}`,
    );
  }
  if (byReason.has('output_too_small')) {
    const longest = Math.max(...candidates.map((c) => c.maxOutputTokens ?? 0));
    hints.push(`${answer} asks for ${maxOutputTokens} tokens, no candidate left writes more than ${longest}`);
  }
  // The prompt alone would fit somewhere: what is too large is the answer asked for.
  const isAnswers = isTooLong(filtered) && maxOutputTokens !== undefined && inputTokens < largest;
  if (isAnswers) hints.push(`ask for less with ${answer}`);
  return new NoCandidate(
    `no candidate model can take this request: ${[reasons.join('; ') || 'there are no candidates', ...hints].join('; ')}`,
    filtered,
    isAnswers ? answer : 'messages',
  );
}
