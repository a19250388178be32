/** What governs requests: whose key it is, under which rules, within which limits; looked at, kept, and told of. */
import { Telemetry } from '../telemetry/telemetry.ts';
import { KeyRing } from './access/key-ring.ts';
import { ResponseCache } from './cache/response-cache.ts';
import { Guards } from './guards/guards.ts';
import { Limits } from './limits/limits.ts';
import { Policies } from './policies/policies.ts';

export class Governance {
  readonly keys = new KeyRing();
  readonly policies = new Policies();
  readonly limits = new Limits();
  readonly guards = new Guards();
  readonly cache = new ResponseCache();
  readonly telemetry = new Telemetry();

  /** Before the first request. @throws what a part cannot do without */
  async start(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.start()));
  }

  /** After the last one: what was counted is written, as far as the database answers. Never rejects. */
  async stop(): Promise<void> {
    await Promise.allSettled(this.#parts.map((part) => part.stop()));
  }

  get #parts() {
    return [this.keys, this.policies, this.limits, this.guards, this.cache, this.telemetry];
  }
}
