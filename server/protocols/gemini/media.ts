/** Images, documents and sound as parts of a Gemini request. Only bytes, and places that Google reads itself. */
import type { AudioBlock, FileBlock, ImageBlock, Source } from '../conversation.ts';
import { Untranslatable } from '../protocol.ts';

/** What Google fetches on its own: its storage, its Files API, YouTube. */
const READ_BY_GOOGLE =
  /^(gs:\/\/[^/]|https:\/\/generativelanguage\.googleapis\.com\/v1(?:beta|alpha)?\/files\/|https:\/\/(?:(?:www\.|m\.)?youtube\.com\/(?:watch|live|shorts)|youtu\.be\/))/;

const TYPES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  heic: 'image/heic',
  heif: 'image/heif',
  gif: 'image/gif',
  pdf: 'application/pdf',
  txt: 'text/plain',
  md: 'text/markdown',
  csv: 'text/csv',
  html: 'text/html',
  json: 'application/json',
  mp4: 'video/mp4',
  mov: 'video/quicktime',
  webm: 'video/webm',
  mp3: 'audio/mp3',
  wav: 'audio/wav',
  flac: 'audio/flac',
  ogg: 'audio/ogg',
};

/** @throws {@link Untranslatable} for any other place: the gateway must bring the bytes first, where it may */
export function mediaPart(block: ImageBlock | FileBlock | AudioBlock): Record<string, unknown> {
  if (block.type === 'audio') return { inlineData: { mimeType: `audio/${block.format}`, data: block.data } };
  return sourcePart(block.source, block.type);
}

function sourcePart(source: Source, what: 'image' | 'file'): Record<string, unknown> {
  if (source.kind === 'base64') return { inlineData: { mimeType: source.mediaType, data: source.data } };
  if (source.kind === 'file') {
    throw new Untranslatable('messages', `Gemini cannot read the ${what} that another provider holds as a file id`);
  }
  if (!READ_BY_GOOGLE.test(source.url)) {
    throw new Untranslatable('messages', `Gemini takes no ${what} url but those of Google's own storage and YouTube`);
  }
  const extension = /\.(\w+)(?:[?#].*)?$/.exec(source.url)?.[1]?.toLowerCase() ?? '';
  const mimeType = source.url.startsWith('https:') ? undefined : TYPES[extension];
  if (source.url.startsWith('gs:') && mimeType === undefined) {
    throw new Untranslatable('messages', `Gemini must be told the type of the ${what}, and its url ends in none`);
  }
  return { fileData: { ...(mimeType !== undefined && { mimeType }), fileUri: source.url } };
}
