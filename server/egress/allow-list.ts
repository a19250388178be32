/** The hosts that the operator lets requests fetch from. */
import { RoutingError } from '../../datasets/index.ts';

interface Entry {
  /** In small letters, without a dot at the end; with brackets around an IPv6 address. */
  readonly host: string;
  /** Stands for all names below `host`, and not for itself. */
  readonly below: boolean;
  readonly port: string | undefined;
}

export type Match =
  /** By `*`: any public host. */
  | 'anything'
  /** By its name. */
  | 'named';

export class AllowList {
  readonly #entries: readonly Entry[];
  readonly #anything: boolean;

  /** @throws `INVALID_CONFIG` naming the entry that is none */
  constructor(allow: readonly string[]) {
    this.#anything = allow.includes('*');
    this.#entries = allow.filter((entry) => entry !== '*').map(read);
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0 && !this.#anything;
  }

  /** How the list names that host at that port; null: not at all. */
  match(url: URL): Match | null {
    const host = url.hostname.replace(/\.$/, '');
    const byDefault = url.port === '';
    for (const { host: listed, below, port } of this.#entries) {
      const same = below ? host.endsWith(`.${listed}`) : host === listed;
      if (same && (port === undefined ? byDefault : port === portOf(url))) return 'named';
    }
    return this.#anything && byDefault ? 'anything' : null;
  }
}

/** `example.com`, `*.example.com`, `example.com:8443`, `10.0.0.5:8080`, `[2001:db8::1]:8443`. */
function read(entry: string): Entry {
  const below = entry.startsWith('*.');
  const text = below ? entry.slice(2) : entry;
  // Read as an address, so that what is listed and what is asked for are spelt alike.
  const url = /[/?#@\s\\*]/.test(text) || !URL.canParse(`http://${text}`) ? undefined : new URL(`http://${text}`);
  if (url === undefined || url.hostname === '') {
    throw new RoutingError(
      'INVALID_CONFIG',
      `egress.allow: ${JSON.stringify(entry)} is no host; write a name such as images.example.com, *.example.com or example.com:8443`,
    );
  }
  const port = /:(\d+)$/.exec(text)?.[1];
  return { host: url.hostname.replace(/\.$/, ''), below, port: port && String(Number(port)) };
}

export const portOf = (url: URL): string => url.port || (url.protocol === 'https:' ? '443' : '80');
