/** The router that would decide: whether it loads, which one it is, and whether its certificate holds. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import type { GatewayConfig } from '../config/index.ts';
import { type Check, note, ok, problem, wordsOf } from './check.ts';
import type { Running } from './storage.ts';

type Config = Pick<GatewayConfig, 'artifact' | 'dataDir' | 'encoder' | 'policy' | 'databaseUrl'>;

export async function examineRouter(
  config: Config,
  candidates: readonly Candidate[],
  { promoted, running }: { readonly promoted: string | null; readonly running: Running | null },
): Promise<Check[]> {
  if (running?.artifact != null) {
    const which = `${running.artifact.slice(0, 12)}, in force at ${running.url}`;
    return [ok('router', 'artifact', which), ...(running.certificate === null ? [] : [standing(running.certificate)])];
  }
  const { artifactsFolder } = await import('../learning/artifacts.ts');
  const { artifactFolder, named } = whichOne(config, promoted, artifactsFolder(config.dataDir));
  if (promoted !== null && !existsSync(join(artifactFolder!, 'manifest.json'))) {
    if (config.databaseUrl !== undefined) {
      return [note('router', 'artifact', `${named}; fetched from the database when the gateway starts`)];
    }
    const mend = 'restore that folder, or go back to the one before: pointsman retrain --rollback';
    return [problem('router', 'artifact', `${named}, but its folder ${artifactFolder} is gone`, mend)];
  }
  const encoderDir = config.encoder?.replace(/^transformer:/, '');
  if (encoderDir !== undefined && !existsSync(encoderDir)) {
    return [note('router', 'artifact', `${named}; its transformer ${encoderDir} is fetched when the gateway starts`)];
  }
  try {
    const { Router } = await import('../../router/index.ts');
    const { policy } = config;
    const artifact = artifactFolder === undefined ? {} : { artifact: artifactFolder };
    const router = await Router.load({
      candidates,
      policy,
      ...(encoderDir !== undefined && { encoderDir }),
      ...artifact,
    });
    try {
      return [
        ok('router', 'artifact', `${router.artifactHash.slice(0, 12)}, ${named}`),
        standing(router.certificate(null)),
      ];
    } finally {
      await router.close();
    }
  } catch (error) {
    const mend = promoted === null ? 'check artifact (POINTSMAN_ARTIFACT) and policy' : 'pointsman retrain --rollback';
    return [problem('router', 'artifact', `${named}: ${wordsOf(error)}`, mend)];
  }
}

function whichOne({ artifact }: Config, promoted: string | null, folder: string) {
  if (promoted !== null)
    return { artifactFolder: join(folder, promoted), named: `promoted (${promoted.slice(0, 12)})` };
  if (artifact !== undefined) return { artifactFolder: artifact, named: `of ${artifact}` };
  return { artifactFolder: undefined, named: 'the shipped one' };
}

/** One that does not hold is no fault: prices change, and so do models. */
const standing = ({ holds, reason }: { readonly holds: boolean; readonly reason: string }): Check =>
  holds ? ok('router', 'certificate', `holds: ${reason}`) : note('router', 'certificate', `does not hold: ${reason}`);
