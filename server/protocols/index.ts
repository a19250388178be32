/** Every protocol by name: those that clients speak, and those that providers do. */
import { chatSurface, chatUpstream } from './chat/index.ts';
import { cohereUpstream } from './cohere/index.ts';
import { converseUpstream } from './converse/index.ts';
import { embeddingsSurface, embeddingsUpstream } from './embeddings/index.ts';
import { geminiUpstream } from './gemini/index.ts';
import { messagesSurface, messagesUpstream } from './messages/index.ts';
import type { ProtocolName, Surface, SurfaceName, UpstreamProtocol } from './protocol.ts';
import { responsesSurface, responsesUpstream } from './responses/index.ts';

export const SURFACES: Readonly<Record<SurfaceName, Surface>> = {
  chat: chatSurface,
  responses: responsesSurface,
  messages: messagesSurface,
  embeddings: embeddingsSurface,
};

export const PROTOCOLS: Readonly<Record<ProtocolName, UpstreamProtocol>> = {
  chat: chatUpstream,
  responses: responsesUpstream,
  messages: messagesUpstream,
  gemini: geminiUpstream,
  converse: converseUpstream,
  cohere: cohereUpstream,
  embeddings: embeddingsUpstream,
};

export * from './protocol.ts';
