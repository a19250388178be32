/** What governs requests: whose key it is, under which rules, within which limits; looked at, kept, and told of. */
import type { SqlStore } from '../db/store.ts';
import type { Gateway, GatewayParts } from '../gateway.ts';
import { Telemetry } from '../telemetry/telemetry.ts';
import { KeyRing } from './access/key-ring.ts';
import { KeyDigests } from './access/key-secret.ts';
import { callerOfSessionKey } from './access/session-keys.ts';
import { WebSessions } from './access/web-sessions.ts';
import { ResponseCache } from './cache/response-cache.ts';
import { Guards } from './guards/guards.ts';
import { Limits } from './limits/limits.ts';
import { Policies } from './policies/policies.ts';

export class Governance {
  readonly keys: KeyRing;
  /** What new keys are made with. */
  readonly digests: KeyDigests;
  /** People signed in. */
  readonly sessions: WebSessions;
  readonly policies: Policies;
  readonly limits: Limits;
  readonly guards: Guards;
  readonly cache: ResponseCache;
  readonly telemetry: Telemetry;

  /** @param gateway that it is a part of: looked at only when there are requests */
  constructor({ store, config, secret }: Pick<GatewayParts, 'store' | 'config' | 'secret'>, gateway: Gateway) {
    this.policies = new Policies(gateway);
    this.limits = new Limits(gateway);
    this.guards = new Guards(() => gateway.config.answerLimitMb * 1024 * 1024);
    this.cache = new ResponseCache(gateway);
    this.telemetry = new Telemetry(gateway);
    const { dataDir, databaseUrl } = config;
    const kind = (store as Partial<SqlStore>).kind ?? 'embedded';
    this.digests = new KeyDigests({ kind, dataDir, secret });
    this.keys = new KeyRing({ store, databaseUrl, digests: this.digests });
    this.sessions = new WebSessions({
      db: 'db' in store ? (store as SqlStore).db : null,
      isArchived: (team) => this.keys.isArchived(team),
      callerOfKey: (id) => callerOfSessionKey(id, gateway.setup.callers, this.keys),
    });
  }

  /** Before the first request. @throws what a part cannot do without */
  async start(): Promise<void> {
    const begun = await Promise.allSettled(this.#parts.map((part) => part.start()));
    const failed = begun.find((one) => one.status === 'rejected');
    if (failed === undefined) return;
    // What the others have begun would keep the process from ending.
    await this.stop();
    throw failed.reason;
  }

  /** After the last one: what was counted is written, as far as the database answers. Never rejects. */
  async stop(): Promise<void> {
    await Promise.allSettled(this.#parts.map((part) => part.stop()));
  }

  get #parts() {
    return [this.keys, this.sessions, this.policies, this.limits, this.guards, this.cache, this.telemetry];
  }
}
