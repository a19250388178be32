/** Which corporate proxy a call goes through: the provider's own, or the environment's less what NO_PROXY lists. */
import ipaddr from 'ipaddr.js';
import { RoutingError } from '../../datasets/index.ts';
import type { Environment } from '../config/index.ts';

export interface CorporateProxy {
  /** Without the name and password. */
  readonly url: string;
  /** For `proxy-authorization`; undefined where the URL names nobody. */
  readonly authorization: string | undefined;
}

export interface ProxySources {
  /** Set for this provider: goes before everything else, NO_PROXY included. False: no proxy. */
  readonly given?: string | false | undefined;
  readonly env?: Environment | undefined;
}

/** @throws `INVALID_CONFIG` when the proxy for that address is no http(s) URL */
export function proxyFor(url: URL, { given, env = {} }: ProxySources): CorporateProxy | null {
  if (given === false) return null;
  if (given !== undefined) return read(given, 'proxy');
  // Small letters first, as curl has it. A name alone may be set by a request's header in CGI; nothing here is CGI.
  const name = url.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const value = env[name]?.trim() || env[name.toUpperCase()]?.trim();
  if (!value || isLocal(url) || isExcepted(url, env.no_proxy?.trim() || env.NO_PROXY?.trim() || '')) return null;
  return read(value, name.toUpperCase());
}

/** The value stays out of the message: it may hold a password. */
function read(value: string, from: string): CorporateProxy {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw new RoutingError('INVALID_CONFIG', `${from}: must be a URL such as http://proxy.example.com:3128`);
  }
  const { username, password, origin } = url;
  if (username === '' && password === '') return { url: origin, authorization: undefined };
  const who = `${decode(username)}:${decode(password)}`;
  return { url: origin, authorization: `Basic ${Buffer.from(who).toString('base64')}` };
}

/** A password with a bare `%` in it is taken as it stands. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');

/** A proxy elsewhere cannot reach what listens on this machine only. */
function isLocal(url: URL): boolean {
  const host = hostOf(url);
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback';
}

function isExcepted(url: URL, list: string): boolean {
  return list.split(/[\s,]+/).some((entry) => entry !== '' && matches(url, entry.toLowerCase()));
}

/** `*`, `example.com` and `.example.com` and `*.example.com` (with all below), an address, a block of them; with a port or without. */
function matches(url: URL, entry: string): boolean {
  if (entry === '*') return true;
  const host = hostOf(url);
  if (entry.includes('/')) return inBlock(host, entry);
  const { name, port } = splitPort(entry);
  if (port !== undefined && port !== (url.port || (url.protocol === 'https:' ? '443' : '80'))) return false;
  if (ipaddr.isValid(name) && ipaddr.isValid(host)) {
    return ipaddr.process(name).toString() === ipaddr.process(host).toString();
  }
  const bare = name.replace(/^\*?\./, '').replace(/\.$/, '');
  return bare !== '' && (host === bare || host.endsWith(`.${bare}`));
}

function inBlock(host: string, block: string): boolean {
  if (!ipaddr.isValid(host) || !ipaddr.isValidCIDR(block)) return false;
  const address = ipaddr.process(host);
  const [base, bits] = ipaddr.parseCIDR(block);
  return address.kind() === base.kind() && address.match(base, bits);
}

function splitPort(entry: string): { name: string; port: string | undefined } {
  const [, inBrackets, port] = /^\[([^\]]+)\](?::(\d+))?$/.exec(entry) ?? [];
  if (inBrackets !== undefined) return { name: inBrackets, port };
  const [, name, itsPort] = /^([^:]+):(\d+)$/.exec(entry) ?? [];
  return name === undefined ? { name: entry, port: undefined } : { name, port: itsPort };
}
