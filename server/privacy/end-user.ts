/** Who asked, as far as the client told: kept as a hash, so that a person's rows can be found and erased without a list of persons. */
import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { isObject } from '../forward/usage.ts';

/** Makes the hashes. With a secret nobody who holds the database alone can try names out. */
export class EndUsers {
  readonly #key: Buffer | null;

  /** @param secret `POINTSMAN_SECRET_KEY`; without it hashes are unkeyed */
  constructor(secret?: string | undefined) {
    this.#key = secret === undefined ? null : Buffer.from(hkdfSync('sha256', secret, '', 'pointsman end users', 32));
  }

  /** @returns 32 hex digits, the same on every replica; tenants' users are apart */
  hash(tenant: string, user: string): string {
    const text = `${tenant}\n${user}`;
    const hash = this.#key === null ? createHash('sha256') : createHmac('sha256', this.#key);
    return hash.update(text).digest('hex').slice(0, 32);
  }

  /** All that a user may be recorded as: from before a secret was set, too. */
  hashes(tenant: string, user: string): string[] {
    return [...new Set([this.hash(tenant, user), new EndUsers().hash(tenant, user)])];
  }
}

/** Claude Code names a person and a conversation in one: `user_…_account_…_session_…`, lately a JSON object in a text. */
export function withoutSession(user: string): string {
  const plain = /^(.+)_session_[\w-]{8,}$/.exec(user)?.[1];
  if (plain !== undefined || !user.startsWith('{')) return plain ?? user;
  try {
    const { session_id: _, ...person } = JSON.parse(user) as Record<string, unknown>;
    return JSON.stringify(person);
  } catch {
    return user;
  }
}

/** `user` and `safety_identifier` of OpenAI's clients, `metadata.user_id` of Anthropic's. */
export function endUserIn(json: Readonly<Record<string, unknown>>): string | null {
  const metadata = isObject(json.metadata) ? json.metadata : {};
  for (const value of [json.safety_identifier, json.user, metadata.user_id]) {
    if (typeof value === 'string' && value !== '') return withoutSession(value);
  }
  return null;
}
