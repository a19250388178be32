/** The policy as a file: looked at once a second, so that it does not matter how it is replaced. */
import { readFile, stat } from 'node:fs/promises';
import { RoutingError } from '../../../datasets/index.ts';
import { type PolicyDocument, readPolicyText, sha256, versionOfFile } from './document.ts';

export interface FilePolicy {
  readonly document: PolicyDocument;
  readonly version: number;
  readonly sha256: string;
}

/** @throws `MISSING_FILE`, `INVALID_CONFIG` naming line and place */
export async function readPolicyFile(path: string): Promise<FilePolicy> {
  return parsed(path, await textOf(path));
}

/** One file, by what was last seen of it. */
export class PolicyFile {
  readonly path: string;
  #state: string | undefined;
  #hash: string | undefined;
  #unsettled: string | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * What the file says now; null: the same as last time, or it is still being written. What is wrong with it is told
   * once for each version of it.
   * @throws `MISSING_FILE`, `INVALID_CONFIG`
   */
  async look(): Promise<FilePolicy | null> {
    const state = await stateOf(this.path);
    if (state === this.#state) return null;
    let text: string;
    try {
      text = await textOf(this.path);
    } catch (error) {
      this.#state = state;
      this.#hash = undefined;
      throw error;
    }
    const hash = sha256(text);
    // Editors write in several steps: what is new must lie still from one look to the next.
    if (this.#state !== undefined && hash !== this.#hash && hash !== this.#unsettled) {
      this.#unsettled = hash;
      return null;
    }
    this.#unsettled = undefined;
    this.#state = state;
    if (hash === this.#hash) return null;
    this.#hash = hash;
    return parsed(this.path, text);
  }
}

function parsed(path: string, text: string): FilePolicy {
  const { document, problems } = readPolicyText(text, path);
  if (document !== null) return { document, version: versionOfFile(text), sha256: sha256(text) };
  throw new RoutingError('INVALID_CONFIG', problems.join('\n'));
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such policy file' : `cannot be read (${code})`;
    throw new RoutingError('MISSING_FILE', `${path}: ${why}`, { cause });
  }
}

/** Changes with every write to the file and with every other file in its place; links are followed. */
async function stateOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path);
    return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
  } catch (error) {
    return `unreadable ${(error as NodeJS.ErrnoException).code}`;
  }
}
