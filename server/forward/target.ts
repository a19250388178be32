/** A place where a model can be had: what one attempt is made at. */
import type { Candidate } from '../../datasets/catalog/candidate.ts';
import type { Credential, Provider } from '../providers/provider.ts';

export interface Target {
  /** The model, `provider/model`: what the client is told. */
  readonly id: string;
  readonly upstreamModel: string;
  readonly provider: Provider;
  readonly credential: Credential;
  /** The model's facts and price; absent for one that the catalog does not know. */
  readonly candidate: Candidate | undefined;
  /** Names it in records, and what health is kept by: `provider/model as named there#key`. */
  readonly deployment: string;
}

export const deploymentOf = (provider: Provider, upstreamModel: string, { id }: Credential): string =>
  `${provider.name}/${upstreamModel}${id === '' ? '' : `#${id}`}`;
