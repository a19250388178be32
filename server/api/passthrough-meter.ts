/** Reads what an answer cost as its bytes go by: `usage` in a JSON object, or in the events of a stream. */
import { SseParser } from '../forward/sse.ts';
import { isObject, readUsage, type Usage } from '../forward/usage.ts';
import { readUsage as readResponsesUsage } from '../protocols/responses/usage.ts';

/** Longest JSON answer, or event, that is looked into: images lie in them, too. */
const METERED_BYTES = 16 * 1024 * 1024;

export interface Meter {
  push(bytes: Uint8Array): void;
  /** Once the bytes have ended; null where nothing was told. */
  usage(): Usage | null;
}

export function meterFor(contentType: string): Meter {
  if (/^application\/json\b/i.test(contentType)) return jsonMeter();
  if (/^text\/event-stream\b/i.test(contentType)) return streamMeter();
  return { push: () => {}, usage: () => null };
}

/** In either of OpenAI's spellings. */
export const usageIn = (json: unknown): Usage | null =>
  isObject(json) ? (readResponsesUsage(json.usage) ?? readUsage(json.usage)) : null;

function jsonMeter(): Meter {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  return {
    push(piece) {
      bytes += piece.byteLength;
      if (bytes <= METERED_BYTES) pieces.push(piece);
      else pieces.length = 0;
    },
    usage: () => (bytes > METERED_BYTES ? null : usageIn(parsed(Buffer.concat(pieces).toString('utf8')))),
  };
}

function streamMeter(): Meter {
  let parser: SseParser | null = new SseParser(METERED_BYTES);
  let usage: Usage | null = null;
  return {
    push(piece) {
      try {
        for (const { data } of parser?.push(piece) ?? []) {
          if (data.includes('"usage"')) usage = usageIn(parsed(data)) ?? usage;
        }
      } catch {
        // An event too large to be read goes to the client all the same.
        parser = null;
      }
    },
    usage: () => usage,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
