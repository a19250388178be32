/** The policy in force, and what it says of a request. */
import type { Catalog } from '../../../datasets/catalog/candidate.ts';
import { RoutingError } from '../../../datasets/index.ts';
import type { Caller } from '../../callers.ts';
import type { GatewayConfig } from '../../config/index.ts';
import { listen } from '../../db/listen.ts';
import type { SqlStore, Store } from '../../db/store.ts';
import { mustPass } from './admin.ts';
import { type CompiledPolicy, compilePolicy } from './compile.ts';
import type { PolicyDocument } from './document.ts';
import type { knownTo } from './known.ts';
import { PolicyFile } from './policy-file.ts';
import type { Rules } from './rules.ts';
import { type Active, activeVersion, documentOf, POLICIES_CHANNEL } from './versions.ts';

export interface Asking {
  readonly caller: Caller;
  /** Tags of the key, and those that the client added. */
  readonly tags: readonly string[];
  /** `chat`, `responses`, `messages`, `embeddings`, `audio` … */
  readonly surface: string;
}

/** What of the gateway it goes by; the configuration may change under way. */
export interface PolicyWorld {
  /** One without SQL keeps no versions. */
  readonly store: Store;
  readonly config: Pick<GatewayConfig, 'policies' | 'databaseUrl'> & Parameters<typeof knownTo>[0];
  readonly catalog: Catalog;
}

/** Where the policy in force comes from. */
export interface InForce {
  readonly source: 'none' | 'file' | 'database';
  readonly version: number | null;
  /** Of a file. */
  readonly path: string | null;
  readonly document: PolicyDocument | null;
}

export interface PolicyLog {
  info(message: string): void;
  error(message: string): void;
}

const LOG: PolicyLog = { info() {}, error: (message) => console.error(`policies: ${message}`) };

/** File and database are asked so often. */
const LOOK_MS = 1000;

/** Governed callers kept of each: one with more different tags is governed anew. */
const MOST_KEPT = 64;
/** The same of what holds, by all that it goes by. */
const MOST_RULES = 5000;

export class Policies {
  /** Told of what came into force, and of what could not, once until it changes. */
  log: PolicyLog = LOG;
  readonly #world: PolicyWorld | null;
  #policy: CompiledPolicy | null = null;
  #source: InForce['source'] = 'none';
  #file: PolicyFile | null = null;
  #active: Active | null = null;
  /** By the caller as it came in; dropped as a whole with the policy that they were made under. */
  #governed = new WeakMap<Caller, Map<string, Caller>>();
  readonly #rules = new Map<string, Rules>();
  #looking: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #hearing: { stop(): void } | undefined;
  #told: string | undefined;
  #isStopped = false;

  constructor(world: PolicyWorld | null = null) {
    this.#world = world;
  }

  /** The caller, bound by the rules for this request from here on: every outbound call goes by them. */
  govern({ caller, tags, surface }: Asking): Caller {
    const policy = this.#policy;
    if (policy === null) return caller;
    const added: string[] = [];
    let key = surface;
    for (const tag of tags) {
      if (caller.tags.includes(tag) || !policy.tagMatters(tag)) continue;
      added.push(tag);
      key += `\n${tag}`;
    }
    let kept = this.#governed.get(caller);
    if (kept === undefined) {
      kept = new Map();
      this.#governed.set(caller, kept);
    }
    let governed = kept.get(key);
    if (governed === undefined) {
      governed = { ...caller, rules: this.#rulesFor(policy, caller, added, surface) };
      if (kept.size >= MOST_KEPT) kept.clear();
      kept.set(key, governed);
    }
    return governed;
  }

  get inForce(): InForce {
    const { version = null, document = null } = this.#policy ?? {};
    return { source: this.#source, version, path: this.#source === 'file' ? this.#file!.path : null, document };
  }

  /**
   * Takes up the policy, and follows it from now on.
   * @throws `INVALID_CONFIG`, `MISSING_FILE`, `DATABASE_UNAVAILABLE`: better no gateway than one without its rules
   */
  async start(): Promise<void> {
    const world = this.#world;
    if (world === null) return;
    await this.#look();
    const { databaseUrl } = world.config;
    if (this.#store?.kind === 'postgres' && databaseUrl !== undefined) {
      this.#hearing = listen(databaseUrl, POLICIES_CHANNEL, () => void this.look(), { onProblem: this.#tell });
    }
    const tick = async () => {
      // An embedded database is this process's own: whoever writes to it says so.
      const isFile = this.#source === 'file' || world.config.policies.file !== undefined;
      if (isFile || this.#store?.kind === 'postgres') await this.look();
      if (!this.#isStopped) this.#timer = setTimeout(tick, LOOK_MS).unref();
    };
    this.#timer = setTimeout(tick, LOOK_MS).unref();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#hearing?.stop();
    await this.#looking;
  }

  /** Looks now, after any look under way. Never rejects: what cannot be taken up is told, and what was in force stays. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(async () => {
      if (this.#isStopped) return;
      try {
        await this.#look();
        this.#told = undefined;
      } catch (error) {
        this.#tell(error);
      }
    });
    return this.#looking;
  }

  get #store(): SqlStore | null {
    const store = this.#world?.store;
    return store !== undefined && 'db' in store ? (store as SqlStore) : null;
  }

  async #look(): Promise<void> {
    const { file } = this.#world!.config.policies;
    if (file === undefined) await this.#lookAtDatabase();
    else await this.#lookAtFile(file);
  }

  async #lookAtFile(path: string): Promise<void> {
    const file = this.#file?.path === path ? this.#file : new PolicyFile(path);
    const found = await file.look();
    if (found === null) return;
    await mustPass(this.#world!, found.document).catch((cause: Error) => {
      throw new RoutingError('INVALID_CONFIG', `${path}: ${cause.message} (pointsman policy test ${path})`, { cause });
    });
    this.#file = file;
    this.#active = null;
    this.#take(compilePolicy(found.document, found.version), 'file');
  }

  async #lookAtDatabase(): Promise<void> {
    const store = this.#store;
    if (store === null) {
      if (this.#source !== 'none') this.#take(null, 'none');
      return;
    }
    const active = await activeVersion(store);
    const isSame =
      active?.version === this.#active?.version &&
      active?.activatedAt.getTime() === this.#active?.activatedAt.getTime();
    if (isSame && this.#source !== 'file') return;
    const policy = active === null ? null : compilePolicy(await documentOf(store, active.version), active.version);
    this.#active = active;
    this.#file = null;
    this.#take(policy, policy === null ? 'none' : 'database');
  }

  #take(policy: CompiledPolicy | null, source: InForce['source']): void {
    const before = this.#policy;
    this.#policy = policy;
    this.#source = source;
    this.#governed = new WeakMap();
    this.#rules.clear();
    if (policy?.version === before?.version) return;
    this.log.info(
      policy === null ? 'no policy is in force' : `version ${policy.version} of the policy (${source}) is in force`,
    );
  }

  readonly #tell = (error: unknown): void => {
    const { message } = error as Error;
    if (message !== this.#told) {
      const { version } = this.inForce;
      const stays = version === null ? 'none is in force' : `version ${version} stays in force`;
      this.log.error(`a policy could not be taken up, ${stays}: ${message}`);
    }
    this.#told = message;
  };

  /** By what is known of the caller: a person is another object with each request. */
  #rulesFor(policy: CompiledPolicy, caller: Caller, added: readonly string[], surface: string): Rules {
    const { tenant: team, project, name: key, tags } = caller;
    const name = JSON.stringify([team, project, key, tags, added, surface]);
    let rules = this.#rules.get(name);
    if (rules === undefined) {
      rules = policy.rulesFor({ team, project, key, tags, added, surface });
      if (this.#rules.size >= MOST_RULES) this.#rules.clear();
      this.#rules.set(name, rules);
    }
    return rules;
  }
}
