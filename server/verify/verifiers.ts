/** Runs the verifiers of the configuration over answers that are out, and writes their verdicts down. */
import { type Afterwork, codeOf, type Finished } from '../afterwards.ts';
import type { Caller } from '../callers.ts';
import type { VerifierConfig } from '../config/index.ts';
import type { DecisionRecord } from '../db/records.ts';
import { judgeSchema } from '../escalation/response-schema.ts';
import { judgeToolCalls } from '../escalation/tool-calls.ts';
import type { Gateway } from '../gateway.ts';
import type { Answer, Conversation } from '../protocols/conversation.ts';
import { SURFACES } from '../protocols/index.ts';
import { finalText } from './answer-text.ts';
import { isSame } from './exact-answer.ts';
import { scoreFrom } from './http-verifier.ts';
import { agrees } from './numeric-answer.ts';
import { Patterns } from './patterns.ts';
import { rowId, shareDraw } from './verdict-row.ts';

type Of<Kind extends VerifierConfig['kind']> = Extract<VerifierConfig, { kind: Kind }>;

/** Two kinds of work: what is computed here, and what waits for somebody else's endpoint, which may be slow. */
export function verifierWorks(gateway: Gateway): Afterwork[] {
  const patterns = new Patterns();
  return [
    workOf('verify', gateway, ({ kind }) => kind !== 'http', patterns),
    workOf('verify-http', gateway, ({ kind }) => kind === 'http', patterns),
  ];
}

function workOf(
  name: string,
  gateway: Gateway,
  isMine: (verifier: VerifierConfig) => boolean,
  patterns: Patterns,
): Afterwork {
  const wanting = (record: DecisionRecord, { rules }: Caller, expected: string | undefined) =>
    gateway.config.verifiers.filter(
      (verifier) =>
        isMine(verifier) &&
        applies(verifier, record, expected) &&
        // What is computed here tells nobody.
        (verifier.kind !== 'http' || rules.allowsVerifier(verifier.name)),
    );
  const counts = { verdicts: 0, none: 0, failed: 0 };
  return {
    name,
    counts,
    wants: (record, caller, expected) => wanting(record, caller, expected).length > 0,
    async run(finished, signal) {
      const { record, caller, expected, conversation, answer, log } = finished;
      if (answer === null || conversation === null) return;
      await Promise.all(
        wanting(record, caller, expected).map(async (verifier) => {
          try {
            const score = await scoreOf(verifier, { ...finished, conversation, answer }, { gateway, patterns, signal });
            if (score === null) counts.none++;
            else {
              counts.verdicts++;
              note(gateway, finished, verifier, score);
            }
          } catch (error) {
            if (signal.aborted) throw error;
            counts.failed++;
            // No verdict, no harm; whoever runs it should hear of it.
            log.warn({ verifier: verifier.name, code: codeOf(error) }, 'a verifier gave no verdict');
          }
        }),
      );
    },
    close: () => patterns.close(),
  };
}

/** Known before the answer comes. */
export function applies(verifier: VerifierConfig, record: DecisionRecord, expected: string | undefined): boolean {
  const { kind, name, tags, teams, share, named } = verifier;
  if (!record.routed && !named) return false;
  if ((kind === 'exact' || kind === 'numeric') && expected === undefined) return false;
  if (tags !== undefined && !tags.some((tag) => record.tags.includes(tag))) return false;
  if (teams !== undefined && !teams.includes(record.tenant)) return false;
  return share === 1 || shareDraw(record.id, name) < share;
}

type Answered = Finished & { readonly conversation: Conversation; readonly answer: Answer };

interface Means {
  readonly gateway: Gateway;
  readonly patterns: Patterns;
  readonly signal: AbortSignal;
}

/** In [0, 1]; null: this verifier has nothing to say of this answer. */
async function scoreOf(verifier: VerifierConfig, finished: Answered, means: Means): Promise<number | null> {
  const { answer, conversation, expected = '' } = finished;
  switch (verifier.kind) {
    case 'schema':
      return isCutByClient(answer, conversation) ? null : scoreOfForm(await judgeSchema(answer, conversation));
    case 'tool_calls':
      return isCutByClient(answer, conversation) ? null : scoreOfForm(await judgeToolCalls(answer, conversation));
    case 'http':
      return askEndpoint(verifier, finished, means);
    case 'pattern': {
      const text = finalText(answer, conversation);
      return text === null ? null : Number(await means.patterns.test({ text, ...verifier }));
    }
    case 'exact': {
      const text = finalText(answer, conversation);
      return text === null ? null : scoreOfTruth(isSame(text, expected));
    }
    case 'numeric': {
      const text = finalText(answer, conversation);
      return text === null ? null : scoreOfTruth(agrees(text, expected, verifier.tolerance));
    }
  }
}

/** Any model's answer would end there. */
const isCutByClient = ({ finish }: Answer, { maxOutputTokens }: Conversation): boolean =>
  finish === 'length' && maxOutputTokens !== undefined;

const scoreOfForm = (found: object | 'fits' | null): number | null =>
  found === null ? null : Number(found === 'fits');
const scoreOfTruth = (isTrue: boolean | null): number | null => (isTrue === null ? null : Number(isTrue));

function askEndpoint({ name, url }: Of<'http'>, finished: Answered, { gateway, signal }: Means): Promise<number> {
  const { record, caller, surface, json, answer, target, expected } = finished;
  const head = { id: record.id, modelId: target.id, createdAt: record.createdAt, request: json };
  const question = {
    verifier: name,
    decisionId: record.id,
    model: target.id,
    surface,
    request: json,
    answer: SURFACES[surface].writeAnswer(answer, head),
    ...(expected !== undefined && { expected }),
  };
  return scoreFrom(url, question, { egress: gateway.setup.egress, signal, rules: caller.rules });
}

/** What is looked for is the client's word (its schema, what it expects): it weighs no more than the key's own verdicts. */
function note({ store }: Gateway, { record, caller }: Finished, verifier: VerifierConfig, score: number): void {
  const source = `verifier:${verifier.name}`;
  const weight = verifier.weight * caller.feedbackWeight;
  const { id: decisionId, tenant, key } = record;
  const id = rowId(decisionId, source);
  store.record({
    feedback: { id, decisionId, score, source, createdAt: new Date(), kind: 'verdict', weight, tenant, key },
  });
}
