/** The version of this package. */
import { readFileSync } from 'node:fs';

export function version(): string {
  // One level up from server/, one more from dist/server/.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      return (JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string }).version;
    } catch {
      // Not here: look one level further up.
    }
  }
  return 'unknown';
}
