/** Anthropic's Messages, which Claude's hosts and a few others speak: both sides of it. */
import { SseParser } from '../../forward/sse.ts';
import type { Surface, UpstreamProtocol } from '../protocol.ts';
import { messagesReader, readMessagesAnswer } from './answer-read.ts';
import { messagesWriter, writeMessagesAnswer } from './answer-write.ts';
import { errorFrame, readMessagesError, writeMessagesError } from './errors.ts';
import { passMessagesAnswer, passMessagesFrame, passMessagesRequest } from './pass.ts';
import { readMessagesRequest } from './request-read.ts';
import { writeMessagesRequest } from './request-write.ts';

export { readCountTokens } from './request-read.ts';

export const messagesUpstream: UpstreamProtocol = {
  name: 'messages',
  maker: 'anthropic',
  framing: (maxFrameChars) => new SseParser(maxFrameChars),
  writeRequest: writeMessagesRequest,
  readAnswer: readMessagesAnswer,
  reader: messagesReader,
  readError: readMessagesError,
};

export const messagesSurface: Surface = {
  name: 'messages',
  readRequest: readMessagesRequest,
  passRequest: passMessagesRequest,
  passAnswer: passMessagesAnswer,
  passFrame: (frame, _events, options) => passMessagesFrame(frame, options),
  // `message_stop` has done so.
  passEnd: '',
  writeAnswer: writeMessagesAnswer,
  writer: messagesWriter,
  writeError: writeMessagesError,
  errorFrame,
  ping: 'event: ping\ndata: {"type":"ping"}\n\n',
};
