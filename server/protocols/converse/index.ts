/** Amazon Bedrock's Converse and ConverseStream as an upstream protocol. */
import type { UpstreamProtocol } from '../protocol.ts';
import { readError } from './errors.ts';
import { EventStreamFraming } from './framing.ts';
import { readAnswer } from './read-answer.ts';
import { ConverseReader } from './stream.ts';
import { writeRequest } from './write-request.ts';

export { makerOnBedrock } from './family.ts';

export const converseUpstream: UpstreamProtocol = {
  name: 'converse',
  maker: 'anthropic',
  framing: (maxFrameChars) => new EventStreamFraming(maxFrameChars),
  writeRequest,
  readAnswer,
  reader: (dialect) => new ConverseReader(dialect),
  readError,
};

/** Where a model is called, from the host on. Ids may be ARNs: their slashes and colons must not part the path. */
export function conversePath(model: string, stream: boolean): string {
  const id = encodeURIComponent(model).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `/model/${id}/${stream ? 'converse-stream' : 'converse'}`;
}
