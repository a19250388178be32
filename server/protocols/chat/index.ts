/** OpenAI's chat completions, which most hosts speak: both sides of it. */
import { editMembers, withoutMember } from '../../forward/edit-json.ts';
import { SseParser } from '../../forward/sse.ts';
import { isObject } from '../../forward/usage.ts';
import type { Surface, UpstreamProtocol, WriteTarget } from '../protocol.ts';
import { chatReader, readChatAnswer } from './answer-read.ts';
import { chatWriter, writeChatAnswer } from './answer-write.ts';
import { readChatError } from './errors.ts';
import { messagesForHost } from './pass.ts';
import { readChatRequest } from './request-read.ts';
import { writeChatRequest } from './request-write.ts';

export const chatUpstream: UpstreamProtocol = {
  name: 'chat',
  maker: 'other',
  framing: (maxFrameChars) => new SseParser(maxFrameChars),
  writeRequest: writeChatRequest,
  readAnswer: readChatAnswer,
  reader: chatReader,
  readError: readChatError,
};

export const chatSurface: Surface = {
  name: 'chat',
  readRequest: readChatRequest,
  passRequest(text, json, { target, stream, routed }) {
    const edits: Record<string, string> = { model: JSON.stringify(target.model) };
    const messages = messagesForHost(text, json.messages, target.dialect, routed);
    if (messages !== undefined) edits.messages = messages;
    if (stream && target.dialect.asksForStreamUsage !== false) {
      const given = isObject(json.stream_options) ? json.stream_options : {};
      if (given.include_usage !== true) edits.stream_options = JSON.stringify({ ...given, include_usage: true });
    }
    if (!routed) return editMembers(text, edits);
    const limit = target.dialect.outputLimit ?? 'max_tokens';
    const other = limit === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens';
    // OpenAI's reasoning models refuse `max_tokens`; most other hosts do not know `max_completion_tokens`.
    const renames: Record<string, string> = json[other] != null && !(limit in json) ? { [other]: limit } : {};
    const { seedField } = target.dialect;
    if (seedField !== undefined && json.seed != null && !(seedField in json)) renames.seed = seedField;
    const edited = editMembers(text, edits, renames);
    return unwanted(target).reduce(
      (rest, field) => (json[field] === undefined ? rest : withoutMember(rest, field)),
      edited,
    );
  },
  passAnswer: (text, modelId) => editMembers(text, { model: JSON.stringify(modelId) }),
  passFrame(frame, events, { modelId, wantsUsage }) {
    if (frame.data === '' || frame.data === '[DONE]') return null;
    // Only there because we asked for it. A first chunk without choices (Azure's filter results) is the client's.
    const usageOnly =
      events.some((e) => e.type === 'usage') && events.every((e) => e.type === 'usage' || e.type === 'start');
    if (usageOnly && !wantsUsage) return null;
    return `data: ${editMembers(oneLine(frame.data), { model: JSON.stringify(modelId) })}\n\n`;
  },
  passEnd: 'data: [DONE]\n\n',
  writeAnswer: writeChatAnswer,
  writer: chatWriter,
  writeError: ({ message, type, code, param }) => ({ error: { message, type, code, param } }),
  errorFrame: ({ message, type, code, param }) =>
    `data: ${JSON.stringify({ error: { message, type, code, param } })}\n\n`,
  ping: ': ping\n\n',
};

/** Fields that the chosen model would refuse, and that its client, which named none, could not know to leave out. */
function unwanted({ sampling, reasoning, dialect }: WriteTarget): string[] {
  return [
    ...(dialect.asksForStreamUsage === false ? ['stream_options'] : []),
    ...(sampling ? [] : ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty']),
    ...(reasoning ? [] : ['reasoning_effort']),
  ];
}

/** JSON may be laid out over several `data:` lines; between tokens a line end is only space. */
const oneLine = (data: string): string => (data.includes('\n') ? data.replaceAll('\n', ' ') : data);
