/**
 * Takes a provider's own secrets out of what it says. Hosts have been seen to quote the key that they refuse, and
 * what they say of an error goes to clients and into logs, where no key may stand.
 */
import type { Environment } from '../config/index.ts';
import type { KeyInHand } from './http-provider.ts';
import type { Settings } from './kind.ts';

/** What stands in a secret's place. */
const STARS = '***';

/** Shorter ones (`none`, `ollama`) are placeholders, and words of plain messages besides. */
const LEAST_CHARS = 8;

const SECRET_HEADER = /auth|key|token|secret|cookie/i;

/** Secrets of the machine's own cloud credentials, where no key of ours is used. */
const AMBIENT = ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;

/** @returns text in which every secret of the provider is replaced, however it is escaped */
export function maskFor(keys: readonly KeyInHand[], settings: Settings, env: Environment): (text: string) => string {
  const secrets = [
    ...keys.map(({ key }) => key),
    ...Object.entries(settings.headers ?? {}).flatMap(([name, value]) =>
      SECRET_HEADER.test(name) ? [value, value.replace(/^(Bearer|Basic) +/i, '')] : [],
    ),
    ...AMBIENT.map((name) => env[name]),
  ].filter((secret): secret is string => secret !== undefined && secret.length >= LEAST_CHARS);
  const spellings = new Set(
    secrets.flatMap((secret) => [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]),
  );
  // The longest first: one key may begin with another.
  const ordered = [...spellings].sort((a, b) => b.length - a.length);
  return (text) => ordered.reduce((masked, secret) => masked.replaceAll(secret, STARS), text);
}
