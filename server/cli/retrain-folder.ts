/** `pointsman retrain --from-log DIR`: learns from an exported log, and judges and keeps the result as with a log of one's own. */
import { readCatalog } from '../../datasets/catalog/catalog.ts';
import type { GatewayConfig } from '../config/index.ts';
import { openStore } from '../db/store.ts';
import { encoderFolder } from '../encoder-folder.ts';
import { type RetrainOptions, type RetrainReport, retrain } from '../learning/retrain.ts';
import { folderLog } from '../log-folder/read.ts';

/**
 * @throws `MISSING_FILE`, `WRONG_FORMAT`, `TRUNCATED_FILE` for the folder, `DATABASE_LOCKED` while a gateway has the
 *         embedded database open, and what retraining throws
 */
export async function retrainFrom(dir: string, config: GatewayConfig, options: RetrainOptions): Promise<RetrainReport> {
  // First: a folder that is none must not make a database.
  const log = folderLog(dir);
  const { dataDir, policy, artifact: baseDir, learning, rollout, teams } = config;
  const { models: candidates } = await readCatalog(config.catalog);
  const encoderDir = config.encoder === undefined ? undefined : await encoderFolder(config.encoder, config);
  const store = await openStore(config);
  try {
    const context = { store, dataDir, candidates, policy, baseDir, encoderDir, learning, rollout, teams, log };
    return await retrain(context, options);
  } finally {
    await store.close();
  }
}
