/** OpenAI's embeddings: passed through to a model that was named, and metered. There is nothing to translate and nothing to stream. */
import { editMembers } from '../../forward/edit-json.ts';
import { SseParser } from '../../forward/sse.ts';
import { count, isObject, type Usage } from '../../forward/usage.ts';
import { apiErrorOf, readChatError, SOME_ERROR } from '../chat/errors.ts';
import { chatSurface } from '../chat/index.ts';
import { NotThisProtocol, type Surface, ToldError, Untranslatable, type UpstreamProtocol } from '../protocol.ts';

const nothingElse = (): never => {
  throw new Untranslatable('input', 'only hosts that speak OpenAI’s embeddings protocol can embed here');
};

export const embeddingsUpstream: UpstreamProtocol = {
  name: 'embeddings',
  maker: 'other',
  framing: (maxFrameChars) => new SseParser(maxFrameChars),
  writeRequest: nothingElse,
  readAnswer(payload) {
    const usage = usageOf(payload.usage);
    if (payload.error != null) throw new ToldError(apiErrorOf(payload.error, payload) ?? SOME_ERROR, usage);
    const { data } = payload;
    if (!Array.isArray(data) || data.length === 0 || !data.every((row) => isObject(row) && row.embedding != null)) {
      throw new NotThisProtocol('JSON that holds no embeddings', usage);
    }
    return { id: null, blocks: [], finish: 'stop', usage };
  },
  reader: () => ({
    closed: false,
    complete: false,
    read: () => {
      throw new NotThisProtocol('a stream where embeddings were asked for');
    },
  }),
  readError: readChatError,
};

function usageOf(raw: unknown): Usage | null {
  const inputTokens = isObject(raw) ? (count(raw.prompt_tokens) ?? count(raw.total_tokens)) : null;
  if (inputTokens === null) return null;
  return { inputTokens, cachedInputTokens: 0, cacheWriteTokens: 0, outputTokens: 0, reasoningTokens: null };
}

export const embeddingsSurface: Surface = {
  ...chatSurface,
  name: 'embeddings',
  readRequest: nothingElse,
  passRequest: (text, _, { target }) => editMembers(text, { model: JSON.stringify(target.model) }),
  passFrame: () => null,
  writeAnswer: nothingElse,
  writer: nothingElse,
};
