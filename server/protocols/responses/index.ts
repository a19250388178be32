/** OpenAI's Responses protocol, on both sides. */
import { SseParser } from '../../forward/sse.ts';
import type { Surface, UpstreamProtocol } from '../protocol.ts';
import { ResponseReader, readAnswer } from './answer-read.ts';
import { ResponseWriter, writeAnswer } from './answer-write.ts';
import { errorFrame, readError, writeError } from './errors.ts';
import { passAnswer, passFrame, passRequest } from './pass.ts';
import { readRequest } from './request-read.ts';
import { writeRequest } from './request-write.ts';

export { type HeldId, heldIdsOf, idsOfInput, idsOfItem, outputIdOf } from './held.ts';

export const responsesUpstream: UpstreamProtocol = {
  name: 'responses',
  maker: 'openai',
  framing: (maxFrameChars) => new SseParser(maxFrameChars),
  writeRequest,
  readAnswer,
  reader: (dialect) => new ResponseReader(dialect),
  readError,
};

export const responsesSurface: Surface = {
  name: 'responses',
  readRequest,
  passRequest,
  passAnswer,
  passFrame: (frame, _events, options) => passFrame(frame, options),
  // The frame that completes the response has ended the stream.
  passEnd: '',
  writeAnswer,
  writer: (head) => new ResponseWriter(head),
  writeError,
  errorFrame,
  ping: ': ping\n\n',
};
