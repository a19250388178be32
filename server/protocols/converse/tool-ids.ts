/** Ids of tool calls as Bedrock takes them: another's ids may hold other characters or be longer. */
import { createHash } from 'node:crypto';
import type { Dialect } from '../protocol.ts';

/** The same id always becomes the same one, so that a result finds its call, in this turn and in the next. */
export function bedrockToolId(id: string, { toolIdPattern }: Dialect): string {
  if (toolIdPattern === 'mistral') return /^[a-zA-Z0-9]{9}$/.test(id) ? id : hashed(id, 9);
  return /^[a-zA-Z0-9_-]{1,64}$/.test(id) ? id : `call_${hashed(id, 24)}`;
}

const hashed = (id: string, length: number): string => {
  const letters = createHash('sha256')
    .update(id)
    .digest('base64')
    .replace(/[^a-zA-Z0-9]/g, '');
  return letters.slice(0, length);
};
