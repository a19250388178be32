/** The folder that a report goes to, made and tried before the long work: minutes of it must not end in "no space for it". */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { RoutingError } from '../../datasets/index.ts';

export interface ReportFolder {
  /** Writes the file whole or not at all. @returns its path, as the folder was given. @throws `INVALID_CONFIG` */
  write(content: string): string;
  /** Takes back the folders that were made, if they are still empty. */
  abandon(): void;
}

/**
 * Makes the folder where it is missing, and tries whether `file` can be written there.
 * @throws `INVALID_CONFIG` when it cannot
 */
export function reportFolder(dir: string, file: string): ReportFolder {
  const path = join(dir, file);
  const partial = `${path}.${process.pid}.part`;
  const made: string[] = [];
  const abandon = () => {
    for (const folder of made.reverse()) {
      try {
        rmdirSync(folder);
      } catch {
        return; // somebody put something there
      }
    }
  };
  const write = (content: string): string => {
    try {
      writeFileSync(partial, content);
      renameSync(partial, path);
    } catch (cause) {
      if (existsSync(partial)) rmSync(partial);
      throw refusal(dir, cause as Error);
    }
    return path;
  };
  try {
    made.push(...makeFolders(resolve(dir)));
    if (existsSync(path)) closeSync(openSync(path, 'r+')); // a folder of this name, or a file that is read-only
    writeFileSync(partial, '');
    rmSync(partial);
  } catch (cause) {
    abandon();
    throw refusal(dir, cause as Error);
  }
  return { write, abandon };
}

/**
 * One plain step a folder: asked to make all at once, Node 20 never returns where the system answers ENOENT
 * under a folder that is there, as /proc does.
 * @returns the folders made, outermost first
 */
function makeFolders(dir: string): string[] {
  const missing: string[] = [];
  for (let at = dir; !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const folder of missing) mkdirSync(folder);
  return missing;
}

const refusal = (dir: string, cause: Error): RoutingError =>
  new RoutingError('INVALID_CONFIG', `--out ${dir}: cannot write there (${cause.message}); name another folder`, {
    cause,
  });
