/** Any of the three shapes of request → what the router looks at: the text that matters, and facts. */
import type { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN, plainPath } from '../../datasets/plain-issues.ts';
import { ChatRequest, isChat, readChat } from './chat.ts';
import type { Conversation, Shape } from './conversation.ts';
import { type RequestFacts, readFacts } from './facts.ts';
import { isMessages, MessagesRequest, readMessages, StrictMessagesRequest } from './messages.ts';
import { isResponses, ResponsesRequest, readResponses } from './responses.ts';
import { shapeOf } from './shape.ts';
import { promptText, withContext } from './text.ts';

export type RoutableRequest = ChatRequest | ResponsesRequest | MessagesRequest;

export interface RoutingInput {
  /** What is encoded: the last user turn, before it up to two earlier ones that say something; head and tail of a long one. */
  readonly text: string;
  readonly facts: RequestFacts;
}

/**
 * Reads a request.
 * @param shape the API it was sent to; default: told by the request itself, {@link shapeOf}
 * @throws `INVALID_REQUEST` with the path of the field at fault; `INVALID_CONFIG` for a shape that there is not
 */
export function readRequest(request: unknown, shape?: Shape): RoutingInput {
  const conversation = conversationOf(request, shape);
  const read = readFacts(conversation);
  if (read === null) {
    const field = (shape ?? shapeOf(request)) === 'responses' ? 'input' : 'messages';
    throw new RoutingError('INVALID_REQUEST', `${field}: nothing to answer, every message is empty`);
  }
  const { userTurns, asked, facts } = read;
  return { text: userTurns.length > 1 ? withContext(asked, userTurns.slice(0, -1)) : promptText(asked), facts };
}

function conversationOf(request: unknown, shape: Shape | undefined): Conversation {
  switch (shape ?? shapeOf(request)) {
    case 'chat':
      return readChat(checked(request, isChat, ChatRequest));
    case 'responses':
      return readResponses(checked(request, isResponses, ResponsesRequest));
    case 'messages': {
      const limited = shape === undefined || (request as { max_tokens?: unknown } | null)?.max_tokens != null;
      return readMessages(checked(request, isMessages, limited ? MessagesRequest : StrictMessagesRequest, limited));
    }
    default:
      throw new RoutingError('INVALID_CONFIG', `shape: ${String(shape)} is none of chat, responses, messages`);
  }
}

/** The request itself where a look over it finds nothing wrong; the schema, which copies, is for saying what is. */
function checked<S extends z.ZodType>(
  request: unknown,
  isRight: (body: unknown) => boolean,
  schema: S,
  quick = true,
): z.infer<S> {
  if (quick && isRight(request)) return request as z.infer<S>;
  const parsed = schema.safeParse(request, PLAIN);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new RoutingError('INVALID_REQUEST', `${plainPath(issue.path) || 'request'}: ${issue.message}`);
}
