/** The parts of a form under guardrails: what of each is looked at, what must look like a word of the API, what no reader may undo. */
import type { UploadLook } from '../governance/guards/guards.ts';
import { FieldError } from './errors.ts';
import { broken, headersOf, parametersOf } from './passthrough-form.ts';
import type { PartHead, PartLook } from './passthrough-form-stream.ts';

/** Each part through a guardrail of its own, its names as well; what `purpose` says tells how the file beside it must be read. */
export class Parts {
  readonly mustPass: boolean;
  readonly #look: UploadLook;
  readonly #word: 'model' | 'purpose';
  readonly #guards: { readonly guard: ReturnType<UploadLook['guardOf']>; readonly mayBeBatch: boolean }[] = [];
  #hasWord = false;
  #purpose: string | null = null;

  constructor(look: UploadLook, word: 'model' | 'purpose', mustPass: boolean) {
    this.#look = look;
    this.#word = word;
    this.mustPass = mustPass;
  }

  async lookOf(head: PartHead): Promise<PartLook> {
    try {
      refuseEncoded(head.headers);
    } catch (error) {
      if (this.mustPass) throw error;
      // It passes, but what is read of it here need not be what its reader reads.
      this.#look.brokeOff();
    }
    const isWord = head.name === this.#word && !head.isFile && !this.#hasWord;
    if (head.name === this.#word && !isWord && this.mustPass) {
      throw new FieldError(this.#word, 'must be there once, as a plain field');
    }
    // Fields beside the file, such as when it expires, are no requests.
    const mayBeBatch = head.isFile || head.name === 'file';
    const guard = this.#look.guardOf(mayBeBatch ? (this.#purpose === null ? null : this.#purpose === BATCH) : false);
    const headers = await this.#seenHeaders(head, (text, isFixed) => guard.lookAtName(text, isFixed));
    if (!isWord) {
      this.#guards.push({ guard, mayBeBatch });
      return {
        push: (bytes) => guard.push(bytes),
        end: () => guard.end(),
        ...(headers !== head.headers && { headers }),
      };
    }
    this.#hasWord = true;
    if (this.#word === 'model') return new Token(this.mustPass, 'model', MODEL);
    this.#purpose = '';
    return new Token(this.mustPass, 'purpose', PURPOSE, (purpose) => {
      this.#purpose = purpose;
    });
  }

  /** Of the file, of the part where it is no plain one, and what else its headers say. Only a file's name can be masked. */
  async #seenHeaders(head: PartHead, look: (text: string, isFixed: boolean) => Promise<string>): Promise<string> {
    const { name, parameters } = head;
    if (!/^[\w$.:/[\]-]{1,64}$/.test(name)) await look(name, true);
    for (const line of headersOf(head.headers)) {
      if (line.name === 'content-disposition' || isPlainHeader(line.name, line.value)) continue;
      await look(`${line.name}: ${line.value}`, true);
    }
    const plain = parameters.get('filename');
    const extended = parameters.get('filename*');
    const seen = plain === undefined ? plain : await look(plain, false);
    const was = extended === undefined ? undefined : fromExtended(extended, this.mustPass);
    const seenExtended = was === undefined ? was : await look(was, false);
    if (seen === plain && seenExtended === was) return head.headers;
    const written = [
      `form-data; name="${name}"`,
      ...(seen === undefined ? [] : [`filename="${seen.replace(/["\\]/g, '_')}"`]),
      ...(seenExtended === undefined ? [] : [`filename*=UTF-8''${encodeURIComponent(seenExtended)}`]),
    ].join('; ');
    const lines = head.headers.split('\r\n');
    return lines
      .map((one) => (/^content-disposition:/i.test(one) ? `Content-Disposition: ${written}` : one))
      .join('\r\n');
  }

  /** @returns marks of the rules that all of it was looked at under */
  settle(): readonly string[] {
    const marks = this.#guards.map(({ guard, mayBeBatch }) => guard.settle(mayBeBatch && this.#purpose === BATCH));
    return (marks[0] ?? []).filter((mark) => marks.every((others) => others.includes(mark)));
  }
}

const BATCH = 'batch';

/** A name that is checked against those that there are, and a word out of a few. */
const MODEL = /^[\w.:/+=|,*~-]{0,500}$/;
const PURPOSE = /^[a-z_-]{0,32}$/;
const MOST_TOKEN_CHARS = 500;

/** A word of the API's own, which is no text. */
class Token implements PartLook {
  readonly #mustBeOne: boolean;
  readonly #name: string;
  readonly #form: RegExp;
  readonly #isOver: (text: string) => void;
  #text = '';

  constructor(mustBeOne: boolean, name: string, form: RegExp, isOver: (text: string) => void = () => {}) {
    this.#mustBeOne = mustBeOne;
    this.#name = name;
    this.#form = form;
    this.#isOver = isOver;
  }

  async push(bytes: Buffer): Promise<Buffer> {
    if (this.#text.length <= MOST_TOKEN_CHARS) this.#text += bytes.toString('utf8');
    if (this.#mustBeOne && !this.#form.test(this.#text)) throw new FieldError(this.#name, 'does not look like one');
    return bytes;
  }

  async end(): Promise<Buffer> {
    this.#isOver(this.#text);
    return Buffer.alloc(0);
  }
}

/** RFC 5987's value of a file name. @throws `INVALID_REQUEST` for one in another encoding than UTF-8 */
function fromExtended(value: string, mustPass: boolean): string {
  try {
    const [, encoded] = /^utf-8'[a-z-]{0,20}'(.*)$/i.exec(value) ?? [];
    if (encoded !== undefined) return decodeURIComponent(encoded);
  } catch {
    // Then it is none.
  }
  if (mustPass) throw broken('a file name is written in a way that is not read here');
  return value;
}

/** It says nothing of anybody. */
const isPlainHeader = (name: string, value: string): boolean =>
  name === 'content-type'
    ? /^[a-z0-9.+-]{1,40}\/[a-z0-9.+-]{1,90}(?:; ?charset="?(?:utf-8|us-ascii)"?)?$/i.test(value)
    : (name === 'content-length' && /^\d{1,12}$/.test(value)) || isEncoding(name);

const isEncoding = (name: string): boolean => name === 'content-transfer-encoding' || name === 'content-encoding';

/** A reader that knows the header would see other bytes than were looked at here. */
function refuseEncoded(headers: string): void {
  for (const { name, value } of headersOf(headers)) {
    const said = value.trim();
    const isPlain =
      name === 'content-transfer-encoding'
        ? /^(?:7bit|8bit|binary)$/i.test(said)
        : name === 'content-encoding'
          ? /^identity$/i.test(said)
          : name !== 'content-type' || isReadAsItStands(said);
    if (!isPlain) throw new FieldError('file', `send it without ${name}: ${value.slice(0, 40)}`);
  }
}

/** One file in UTF-8, or in bytes; no form within a form, which its reader may take apart. */
function isReadAsItStands(type: string): boolean {
  const [, kind = '', rest = ''] = /^([\w.+-]+)\/[\w.+-]+(.*)$/.exec(type) ?? [];
  const parameters = parametersOf(rest);
  if (kind === '' || /^(?:multipart|message)$/i.test(kind) || parameters === null) return false;
  return /^(?:utf-8|us-ascii)$/i.test(parameters.get('charset') ?? 'utf-8');
}
