/** What is asked of a model, whoever of the candidates answers: the client's own text, and the same in no protocol's words. */

import { RoutingError } from '../../datasets/index.ts';
import type { Conversation } from '../protocols/conversation.ts';
import { type AnswerHead, PROTOCOLS, type Surface, Untranslatable } from '../protocols/index.ts';
import { UpstreamFailure } from './failure.ts';
import { withoutImages } from './images.ts';
import { withLogprobs } from './logprobs.ts';
import { type Media, withMedia } from './media.ts';
import type { Target } from './target.ts';

export interface Asked {
  readonly surface: Surface;
  /** The client's request, JSON text, and the same parsed. */
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
  readonly stream: boolean;
  /** True when the router chose the model: the client could not know how to phrase its request for it. */
  readonly routed: boolean;
  /** The request in no protocol's words; read when the first model of another protocol is called. */
  readonly conversation: () => Conversation;
  /** The client's headers that its protocol hands on. */
  readonly headers: Readonly<Record<string, string>>;
  readonly head: Omit<AnswerHead, 'modelId'>;
  readonly media: Media;
  /** How sure the model was of its words is asked for where its host tells it (logprobs.ts); the client did not ask. */
  readonly confidence?: boolean | undefined;
}

/** Longest answer asked for where a protocol wants a bound and neither client nor catalog gives one. */
const SOME_OUTPUT_TOKENS = 8192;

/** The body for one target. @throws UpstreamFailure when the target's protocol cannot say what is asked */
export async function bodyFor(whole: Asked, target: Target): Promise<string> {
  const asked = whole.routed ? forEyesOf(target, whole) : whole;
  const { surface, text, json, stream, routed } = asked;
  const { provider, upstreamModel: model, candidate } = target;
  const protocol = PROTOCOLS[provider.protocolFor(surface.name, model)];
  const writeTarget = {
    model,
    dialect: provider.dialectOf(model),
    sampling: candidate?.sampling !== false,
    // Of a model that nobody described, what its client asks for is believed.
    reasoning: candidate?.reasoning ?? true,
    maxOutputTokens: candidate?.maxOutputTokens ?? SOME_OUTPUT_TOKENS,
  };
  try {
    const finished = tellsConfidence(asked, target) ? withLogprobs : asItIs;
    if (protocol.name === surface.name) {
      return finished(surface.passRequest(text, json, { target: writeTarget, stream, routed }));
    }
    const conversation = await withMedia(asked.conversation(), protocol.name, asked.media);
    return finished(JSON.stringify(protocol.writeRequest(conversation, writeTarget)));
  } catch (error) {
    if (error instanceof RangeError) {
      throw new RoutingError('INVALID_REQUEST', 'body: nested too deeply to be read', { cause: error });
    }
    // The client could not know that it would be read at all: a model that takes its own text may still answer.
    if (routed && error instanceof RoutingError && error.code === 'INVALID_REQUEST') throw unreadable(target, error);
    if (!(error instanceof Untranslatable)) throw error;
    const { field, message } = error;
    throw new UpstreamFailure('INVALID_REQUEST', 'model', `${target.id} cannot take this request: ${message}`, {
      httpStatus: 400,
      error: { message, type: 'invalid_request_error', code: 'unsupported_parameter', param: field },
      cause: error,
    });
  }
}

const asItIs = (body: string): string => body;

/** Whether the host of a target is asked for log probabilities on the gateway's own account. */
export function tellsConfidence({ confidence, stream, surface }: Asked, { provider, upstreamModel }: Target): boolean {
  if (confidence !== true || stream || provider.protocolFor(surface.name, upstreamModel) !== 'chat') return false;
  return provider.dialectOf(upstreamModel).logprobs === true;
}

function unreadable(target: Target, cause: RoutingError): UpstreamFailure {
  const param = /^([a-z_]+(?:\.[\w]+)*): /i.exec(cause.message)?.[1] ?? null;
  return new UpstreamFailure('INVALID_REQUEST', 'model', `${target.id} cannot take this request: ${cause.message}`, {
    httpStatus: 400,
    error: { message: cause.message, type: 'invalid_request_error', code: null, param },
    cause,
  });
}

/** A turn of text may go to a model that only reads text although earlier ones held pictures: they are left out, and that is said. */
function forEyesOf({ candidate }: Target, asked: Asked): Asked {
  if (candidate === undefined || candidate.inputModalities.includes('image')) return asked;
  const json = withoutImages(asked.json);
  if (json === asked.json) return asked;
  return { ...asked, json, text: JSON.stringify(json), conversation: () => asked.surface.readRequest(json) };
}
