/** Cohere's chat protocol, version 2: the upstream side. */
import { SseParser } from '../../forward/sse.ts';
import type { UpstreamProtocol } from '../protocol.ts';
import { CohereReader, readAnswer } from './answer-read.ts';
import { readError } from './errors.ts';
import { writeRequest } from './request-write.ts';

/** Cohere signs nothing of what its models think: there is no sealed reasoning of its own. */
export const cohereUpstream: UpstreamProtocol = {
  name: 'cohere',
  maker: 'other',
  framing: (maxFrameChars) => new SseParser(maxFrameChars),
  writeRequest,
  readAnswer,
  reader: () => new CohereReader(),
  readError,
};
