/** A folder of a test's own. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const tempDir = (): Promise<string> => mkdtemp(join(tmpdir(), 'pointsman-test-'));
