/** Google's Gemini protocol (`generateContent`), as spoken by the Gemini API and by Vertex: the upstream side. */
import { SseParser } from '../../forward/sse.ts';
import type { UpstreamProtocol } from '../protocol.ts';
import { GeminiReader, readAnswer } from './answer-read.ts';
import { readError, retryDelaySeconds } from './errors.ts';
import { writeRequest } from './request-write.ts';

export { retryDelaySeconds } from './errors.ts';

/** The model and whether to stream are in the URL, not in the body: `models/{model}:streamGenerateContent?alt=sse`. */
export const geminiUpstream: UpstreamProtocol = {
  name: 'gemini',
  maker: 'google',
  framing: (maxFrameChars) => new SseParser(maxFrameChars),
  writeRequest,
  readAnswer,
  reader: (dialect) => new GeminiReader(dialect),
  readError,
  retryAfter: retryDelaySeconds,
};
