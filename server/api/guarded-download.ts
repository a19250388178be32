/** A file on its way to the client under guardrails: as it comes where nothing can refuse it, else once all of it was seen. */
import type { DownloadLook } from '../governance/guards/guards.ts';
import { Kept } from './kept-bytes.ts';

/** What of it goes on, as it comes; whatever was noticed is in `look.hits`. @throws GuardrailBlocked */
export async function* through(body: AsyncIterable<Uint8Array>, look: DownloadLook): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    const seen = await look.guard.push(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
    const passed = look.holds ? seen : piece;
    if (passed.byteLength > 0) yield passed;
  }
  const rest = await look.guard.end();
  look.guard.settle(false);
  if (look.holds && rest.length > 0) yield rest;
}

/** All of it, put by. @param folder where a large one waits @throws GuardrailBlocked; `BODY_TOO_LARGE` */
export async function keptWhole(body: AsyncIterable<Uint8Array>, look: DownloadLook, folder: string): Promise<Kept> {
  const kept = new Kept(folder);
  try {
    for await (const piece of through(body, look)) await kept.add(Buffer.from(piece));
    await kept.finish();
    return kept;
  } catch (error) {
    await kept.close();
    throw error;
  }
}
