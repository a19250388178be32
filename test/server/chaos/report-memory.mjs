// Preloaded into the gateway's process: on SIGUSR2 collects garbage and writes what memory is still in use.
import { renameSync, writeFileSync } from 'node:fs';

process.on('SIGUSR2', () => {
  // Twice: the first leaves what finalisers let go of.
  globalThis.gc();
  globalThis.gc();
  const file = process.env.CHAOS_MEMORY_FILE;
  writeFileSync(`${file}.new`, JSON.stringify(process.memoryUsage()));
  renameSync(`${file}.new`, file);
});
