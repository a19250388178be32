/**
 * Forms under guardrails: looked at as they come, put by until all of it has been seen, and only then sent: whole, or
 * not at all.
 */
import { Readable } from 'node:stream';
import type { GuardHit } from '../db/records.ts';
import type { UploadLook } from '../governance/guards/guards.ts';
import { Parts } from './form-parts.ts';
import { Kept } from './kept-bytes.ts';
import { throughForm } from './passthrough-form-stream.ts';

/** A form that may go on. */
export interface SeenForm {
  readonly body: (() => Uint8Array) | Readable;
  readonly bytes: number;
  /** Marks of the rules that its files were looked at under. */
  readonly marks: readonly string[];
  readonly hits: readonly GuardHit[];
  close(): Promise<void>;
}

/**
 * @param body   what is left of it when it is refused is still there
 * @param look   of rules that may change or refuse it
 * @param word   the field that is a word of the API's own, which no guardrail reads
 * @param folder where a large one waits; null: in memory, however large it is
 * @throws GuardrailBlocked; `INVALID_REQUEST` for a form that is none, or a batch that cannot be read; `BODY_TOO_LARGE`
 */
export async function seenForm(
  body: Readable,
  contentType: string,
  {
    look,
    word,
    folder,
  }: { readonly look: UploadLook; readonly word: 'model' | 'purpose'; readonly folder: string | null },
): Promise<SeenForm> {
  const parts = new Parts(look, word, true);
  const kept = new Kept(folder);
  try {
    for await (const piece of throughForm(left(body), contentType, (head) => parts.lookOf(head))) await kept.add(piece);
    const marks = parts.settle();
    await kept.finish();
    return { body: kept.body(), bytes: kept.bytes, marks, hits: look.hits, close: () => kept.close() };
  } catch (error) {
    // Its client hears why once it has sent all.
    body.resume();
    await kept.close();
    throw error;
  }
}

/** A form that goes by as it came, at its own pace, while it is looked at. */
export class WatchedForm {
  readonly body: Readable;
  #refusal: unknown = null;

  /** @param mustPass what refuses it ends it; else it is watched no further, and its provider says what is wrong with it */
  constructor(body: Readable, contentType: string, look: UploadLook, mustPass: boolean) {
    this.body = Readable.from(this.#through(body, contentType, look, new Parts(look, 'purpose', mustPass)), {
      objectMode: false,
    });
  }

  /** Why it broke off; null: it did not, or by nobody's will. */
  get refusal(): unknown {
    return this.#refusal;
  }

  async *#through(body: Readable, contentType: string, look: UploadLook, parts: Parts): AsyncGenerator<Buffer> {
    const gone: Buffer[] = [];
    const noted = {
      async *[Symbol.asyncIterator]() {
        for await (const piece of left(body)) {
          gone.push(piece);
          yield piece;
        }
      },
    };
    try {
      for await (const _ of throughForm(noted, contentType, (head) => parts.lookOf(head))) {
        // The last one has not been looked at to its end; and the form's end must wait for what is said of it.
        if (gone.length > 1) yield* gone.splice(0, gone.length - 1);
      }
      parts.settle();
    } catch (error) {
      look.brokeOff();
      if (parts.mustPass) {
        this.#refusal = error;
        // Its client hears why once it has sent all.
        body.resume();
        throw error;
      }
    }
    yield* gone.splice(0);
    yield* left(body);
  }
}

/** What comes of it; whoever leaves off early leaves the rest there, where a loop by itself would hang up on the client. */
export const left = (body: Readable): AsyncIterable<Buffer> => ({
  [Symbol.asyncIterator]: () => body.iterator({ destroyOnReturn: false }),
});
