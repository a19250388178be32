/** The library: `const router = await Router.load(); const decision = await router.route({ messages })`. */
import { z } from 'zod';
import { Candidate } from '../datasets/catalog/candidate.ts';
import { readCatalog } from '../datasets/catalog/catalog.ts';
import { RoutingError } from '../datasets/index.ts';
import { PLAIN } from '../datasets/plain-issues.ts';
import { type Artifact, loadArtifact } from './artifact/artifact.ts';
import { AVERAGE_MODEL, type Decision, type FilterReason, isTooLong, NoCandidate } from './decision.ts';
import { tokensOf } from './heads/heads.ts';
import { unpackHeads } from './heads/onnx.ts';
import { MEMO, memoised } from './memo.ts';
import type { Adjustments } from './policy/adjustment.ts';
import { certificateHolds, priceBook, type Standing } from './policy/certificate.ts';
import { type CandidatePrediction, decide, expectedCostUsd, filterCandidate } from './policy/decide.ts';
import { type Knobs, type Policy, withOverrides } from './policy/policy.ts';
import { cacheUse, checkedSession, type Session } from './policy/session.ts';
import { meanQualities, place, solver } from './policy/solve.ts';
import { type RequestFacts, type RoutableRequest, readRequest, type Shape, shapeOf } from './request.ts';

export interface RouterOptions {
  /** Artifact folder; default: the shipped one. */
  readonly artifact?: string;
  /** Folder of the transformer that the artifact was trained over, where it is no longer where it lay then. */
  readonly encoderDir?: string | undefined;
  /** Candidate models, each id once; default: the shipped catalog. */
  readonly candidates?: readonly z.input<typeof Candidate>[];
  /** Overrides of the artifact's policy. */
  readonly policy?: Partial<Knobs>;
  /** Texts whose predictions are remembered, least recently used ones forgotten first; default 512, 0: none. */
  readonly memo?: number | undefined;
}

export interface RouteOptions {
  /** Overrides for this request: `minQuality`, `maxCostUsd`, `dial`, `target`, `budget` … */
  readonly policy?: Partial<Knobs>;
  /** Leave nothing to chance: no exploration, no drawing between settings. */
  readonly critical?: boolean;
  /** Only these model ids. */
  readonly allowed?: readonly string[];
  /** Not these: a rule says so. */
  readonly forbidden?: readonly string[];
  /** Not these: too little is left of a limit of theirs. */
  readonly limited?: readonly string[];
  /** Not these: no key, breaker open. */
  readonly unhealthy?: readonly string[];
  /** Uniform number in [0, 1) that decides exploration; default: a random one. Others are refused. */
  readonly draw?: number;
  /** The API that the request was written for; default: told by its fields. */
  readonly shape?: Shape | undefined;
  /** The conversation that the request goes on with; none on its first turn. */
  readonly session?: Session | undefined;
  /** False: this request may not be used to try models. */
  readonly explore?: boolean | undefined;
  /** What was seen of models since the artifact was fitted. */
  readonly adjustments?: Adjustments | undefined;
  /** Candidates that were seen first of late. */
  readonly newcomers?: NewcomerOptions | undefined;
}

/**
 * Candidates to be tried, where anything is explored, for a share of their own. Of these, one that the artifact has
 * learned from outcomes is new no longer; one that it knows nothing of is chosen in this way only.
 */
export interface NewcomerOptions {
  readonly ids: readonly string[];
  /** What they get together by exploration, in [0, 1). */
  readonly share: number;
}

export interface Router {
  /** Content hash of the artifact. */
  readonly artifactHash: string;
  readonly encoderId: string;
  readonly candidates: readonly Candidate[];
  /** Ids of those that the artifact knows nothing of, neither by themselves nor as like another. */
  readonly unknown: readonly string[];
  /** Knobs in force when a request brings none of its own. */
  readonly policy: Policy;
  /**
   * Whether the artifact's certificate covers what this router does.
   * @param outOfDomainShare share of recent prompts beyond `maxOutOfDomain`; null: not known
   */
  certificate(outOfDomainShare: number | null): Standing;
  /** @throws `INVALID_REQUEST`, `INVALID_CONFIG` (a knob or an option out of range), `NO_CANDIDATE` (its message names every filter hit) */
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
      const router = createRouter(artifact, candidates, withOverrides(artifact.policy, options.policy), options);
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
 * @throws `INVALID_CONFIG` when the policy's target or budget cannot be solved, or `memo` is no count
 */
export function createRouter(
  artifact: Artifact,
  candidates: readonly Candidate[],
  policy: Policy,
  { memo = MEMO }: Pick<RouterOptions, 'memo'> = {},
): Router {
  const placed = place(artifact.heads, candidates);
  const likeOf = new Map(placed.map(({ candidate, like }) => [candidate, like]));
  // Looked up once, not once a request.
  const seats = candidates.map((candidate, place): Seat => {
    const like = likeOf.get(candidate);
    const column = like === undefined ? -1 : artifact.heads.modelIds.indexOf(like);
    const isLearned = like === candidate.id && artifact.heads.evidence[column]! > 0;
    return { candidate: uniform(candidate), like, column, place, isLearned };
  });
  const unknown = seats.filter(({ like }) => like === undefined).map(({ candidate }) => candidate.id);
  const means = meanQualities(artifact.heads);
  const averageMean = sigmoid(mean(means.map((p) => Math.log(p / (1 - p)))));
  const solve = solver(artifact.heads, placed, policy);
  solve(policy);
  const prices = priceBook(placed.map(({ candidate, like }) => ({ ...candidate, model: like })));
  const { certificate } = policy;
  const standing = (knobs: Policy, outOfDomainShare: number | null): Standing =>
    certificateHolds(certificate, { prices, outOfDomainShare, policy: knobs });
  const ownStanding = standing(policy, null);

  const predict = memoised(async (text): Promise<Predicted> => {
    const { embedding, all } = await artifact.predict(text);
    const { logits, logTokens, qualitySd, outOfDomain, difficulty } = unpackHeads(all);
    const quality = new Float64Array(seats.length);
    const outputTokens = new Float64Array(seats.length);
    for (let k = 0; k < seats.length; k++) {
      const { column } = seats[k]!;
      if (column < 0) continue;
      quality[k] = sigmoid(logits[column]!);
      outputTokens[k] = tokensOf(logTokens[column]!);
    }
    const average = unknown.length === 0 ? NOBODY : averageOf(logits, logTokens, qualitySd);
    return { embedding, quality, qualitySd, outputTokens, average, outOfDomain, difficulty };
  }, memo);

  return {
    artifactHash: artifact.hash,
    encoderId: artifact.encoder.id,
    candidates,
    unknown,
    policy,
    certificate: (outOfDomainShare) => standing(policy, outOfDomainShare),
    close: async () => artifact.encoder.close?.(),
    async route(request, options = {}) {
      const draw = drawOf(options.draw);
      const session = checkedSession(options.session);
      const knobs = withOverrides(policy, options.policy);
      const mix = solve(knobs);
      const { text, facts } = readRequest(request, options.shape);
      const allowed = options.allowed && new Set(options.allowed);
      const forbidden = options.forbidden && new Set(options.forbidden);
      const limited = options.limited && new Set(options.limited);
      const unhealthy = options.unhealthy && new Set(options.unhealthy);
      const critical = options.critical === true;
      const explores = options.explore !== false && !critical && session === undefined && knobs.exploration > 0;
      const asked = newcomersOf(options.newcomers);
      const newcomers = explores ? asked : null;
      /** Nothing of these is known; a conversation that is locked to one stays with it all the same. */
      const isOpen = (id: string) => newcomers?.has(id) || (session?.locked != null && session.incumbent === id);
      const filtered: { model: string; reason: FilterReason }[] = [];
      const eligible: Seat[] = [];
      for (const seat of seats) {
        const { candidate, like } = seat;
        let reason: FilterReason | null = null;
        if (forbidden?.has(candidate.id)) reason = 'policy';
        else if (limited?.has(candidate.id)) reason = 'limit';
        else if (allowed && !allowed.has(candidate.id)) reason = 'not_allowed';
        else if (unhealthy?.has(candidate.id)) reason = 'unhealthy';
        else
          reason =
            filterCandidate(candidate, facts) ??
            (like === undefined && !isOpen(candidate.id) ? 'unknown_to_artifact' : null);
        if (reason !== null) filtered.push({ model: candidate.id, reason });
        else eligible.push(seat);
      }
      if (eligible.length === 0) throw nothingLeft(request, options.shape, facts, candidates, filtered);

      const { embedding, quality, qualitySd, outputTokens, average, outOfDomain, difficulty } = await predict(text);
      const predictions: CandidatePrediction[] = [];
      let known = 0;
      for (const { candidate, like, column: j, place: k, isLearned } of eligible) {
        const isUntried = like === undefined;
        const tokens = isUntried ? average.outputTokens : outputTokens[k]!;
        if (
          knobs.maxCostUsd !== null &&
          expectedCostUsd(candidate, facts, tokens, cacheUse(candidate, facts, session)) > knobs.maxCostUsd
        ) {
          filtered.push({ model: candidate.id, reason: 'over_max_cost' });
          continue;
        }
        const seen = options.adjustments?.get(candidate.id);
        const shift = seen?.shift ?? 0;
        const sd = isUntried ? average.qualitySd : qualitySd[j]!;
        if (!isUntried || session?.incumbent === candidate.id) known++;
        predictions.push({
          candidate,
          like: like ?? AVERAGE_MODEL,
          quality: inRange((isUntried ? average.quality : quality[k]!) + shift),
          qualitySd: seen === undefined ? sd : Math.hypot(sd, seen.widen),
          meanQuality: inRange((isUntried ? averageMean : means[j]!) + shift),
          outputTokens: tokens,
          novelty: isUntried ? 'untried' : !isLearned && newcomers?.has(candidate.id) ? 'new' : undefined,
        });
      }
      if (known === 0) {
        // What nothing is known of is tried beside others, never for want of them.
        for (const { candidate } of predictions) filtered.push({ model: candidate.id, reason: 'unknown_to_artifact' });
        throw nothingLeft(request, options.shape, facts, candidates, filtered);
      }
      const choice = decide(predictions, facts, knobs, outOfDomain, draw, {
        mix,
        critical,
        session,
        explore: options.explore,
        newcomerShare: options.newcomers?.share,
      });
      const isTrying = newcomers !== null && predictions.some(({ novelty }) => novelty !== undefined);
      return {
        ...choice,
        mix,
        certificate: keptFor(session, isTrying, knobs === policy ? ownStanding : standing(knobs, null)),
        filtered,
        outOfDomain,
        difficulty,
        // A row without overlap: kept among the facts, so that off-policy estimates can leave it out.
        facts: critical ? { ...facts, critical } : facts,
        artifact: artifact.hash,
        encoderId: artifact.encoder.id,
        // Predictions may be remembered; what a caller is given is its own.
        embedding: embedding.slice(),
      };
    },
  };
}

const inRange = (quality: number): number => Math.min(1, Math.max(0, quality));

/** What was proved is proved of choices between all models, not of keeping to one, nor of those that were not there. */
const keptFor = (session: Session | undefined, isTrying: boolean, standing: Standing): Standing => {
  if (!standing.holds || (session === undefined && !isTrying)) return standing;
  const reason = isTrying
    ? 'new models are being tried'
    : 'the choice takes account of the model that has the conversation';
  return { holds: false, reason };
};

/** @throws `INVALID_CONFIG` for a share that is none */
function newcomersOf(options: NewcomerOptions | undefined): ReadonlySet<string> | null {
  if (options === undefined) return null;
  const { ids, share } = options;
  if (!(typeof share === 'number' && share >= 0 && share < 1)) {
    throw new RoutingError('INVALID_CONFIG', `newcomers.share: ${share} is not in [0, 1)`);
  }
  return share > 0 && ids.length > 0 ? new Set(ids) : null;
}

/** @throws `INVALID_CONFIG` for a number outside [0, 1): no propensity would be true of what it picks */
function drawOf(draw: number | undefined): number {
  if (draw === undefined) return Math.random();
  if (typeof draw === 'number' && draw >= 0 && draw < 1) return draw;
  throw new RoutingError('INVALID_CONFIG', `draw: ${draw} is not in [0, 1)`);
}

/** A candidate, the artifact's model that speaks for it, that model's column among the heads, and its own place among the candidates. */
interface Seat {
  readonly candidate: Candidate;
  readonly like: string | undefined;
  readonly column: number;
  readonly place: number;
  /** The artifact knows it by outcomes of its own. */
  readonly isLearned: boolean;
}

/** What is known of a text. */
interface Predicted {
  readonly embedding: Float32Array;
  /** By candidate, as is `outputTokens`; 0 for one that the artifact does not know: that one is as the average. */
  readonly quality: Float64Array;
  /** By column of the heads. */
  readonly qualitySd: Float32Array;
  readonly outputTokens: Float64Array;
  readonly average: Average;
  readonly outOfDomain: number;
  readonly difficulty: number;
}

/** What a model does of which nothing is known: the mean over models of the logits, as a refit starts it (`training/refit-heads.ts`). */
interface Average {
  readonly quality: number;
  /** How much models differ, and what is not known of each. */
  readonly qualitySd: number;
  readonly outputTokens: number;
}

/** Asked for by nobody: the artifact knows every candidate. */
const NOBODY: Average = { quality: 0, qualitySd: 0, outputTokens: 0 };

function averageOf(logits: Float32Array, logTokens: Float32Array, qualitySd: Float32Array): Average {
  const quality = sigmoid(mean(logits));
  const squares = Float64Array.from(logits, (l, j) => (sigmoid(l) - quality) ** 2 + qualitySd[j]! ** 2);
  return { quality, qualitySd: Math.sqrt(mean(squares)), outputTokens: tokensOf(mean(logTokens)) };
}

const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

function mean(values: Float32Array | Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/**
 * The same candidate with the fields of a decision in one order, present or not: all are then one kind of object to the
 * engine, and reading 46 of them costs a quarter of what it does where each has its own optional fields.
 */
const uniform = (c: Candidate): Candidate => {
  const fields: Record<keyof Candidate, unknown> = {
    id: c.id,
    like: c.like,
    inputUsdPerMTok: c.inputUsdPerMTok,
    outputUsdPerMTok: c.outputUsdPerMTok,
    cachedInputUsdPerMTok: c.cachedInputUsdPerMTok,
    cacheWriteUsdPerMTok: c.cacheWriteUsdPerMTok,
    longPromptPrices: c.longPromptPrices,
    contextTokens: c.contextTokens,
    maxOutputTokens: c.maxOutputTokens,
    inputModalities: c.inputModalities,
    tools: c.tools,
    structuredOutput: c.structuredOutput,
    reasoning: c.reasoning,
    sampling: c.sampling,
    kind: c.kind,
    released: c.released,
    source: c.source,
    priceDate: c.priceDate,
  };
  return fields as Candidate;
};

/** @throws `INVALID_CONFIG` naming the candidate and field at fault */
function checked(candidates: readonly z.input<typeof Candidate>[]): readonly Candidate[] {
  const parsed = z.array(Candidate).safeParse(candidates, PLAIN);
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

/** What a request in each shape calls its input and the limit on the answer. */
const FIELDS: Record<Shape, { readonly input: string; readonly limits: readonly string[] }> = {
  chat: { input: 'messages', limits: ['max_completion_tokens', 'max_tokens'] },
  responses: { input: 'input', limits: ['max_output_tokens'] },
  messages: { input: 'messages', limits: ['max_tokens'] },
};

function nothingLeft(
  request: RoutableRequest,
  shape: Shape | undefined,
  { inputTokens, maxOutputTokens }: RequestFacts,
  candidates: readonly Candidate[],
  filtered: Decision['filtered'],
): NoCandidate {
  const byReason = new Map<FilterReason, string[]>();
  for (const { model, reason } of filtered) byReason.set(reason, [...(byReason.get(reason) ?? []), model]);
  const largest = Math.max(0, ...candidates.map((c) => c.contextTokens));
  const { input, limits } = FIELDS[shape ?? shapeOf(request)];
  const answer = limits.find((name) => (request as Record<string, unknown>)[name] != null) ?? limits.at(-1)!;
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
    isAnswers ? answer : input,
  );
}
