/** The last line of defence for what doctor prints: no text that is known to be a secret gets out, whoever put it there. */
import type { Environment, GatewayConfig } from '../config/index.ts';

/** Variables that hold secrets, whoever reads them. */
const SECRET_NAME = /KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTH/i;
/** Shorter ones would strike out half of the words. */
const MIN_CHARS = 6;

export class Secrets {
  readonly #known = new Set<string>();

  add(text: string | undefined): void {
    if (text === undefined || text.trim().length < MIN_CHARS) return;
    this.#known.add(text.trim());
    if (encodeURIComponent(text) !== text) this.#known.add(encodeURIComponent(text.trim()));
  }

  addEnvironment(env: Environment): void {
    for (const [name, value] of Object.entries(env)) {
      // A path to a file of credentials is worth showing.
      if (SECRET_NAME.test(name) && !/FILE|PATH|SOCK/i.test(name) && !value?.startsWith('/')) this.add(value);
      this.#addUrl(value);
    }
  }

  addConfig({ providers, keys, databaseUrl }: GatewayConfig): void {
    for (const { apiKey, keys: several = [], headers = {}, baseUrl, proxy } of Object.values(providers)) {
      this.add(apiKey);
      for (const one of several) this.add(one.apiKey);
      for (const value of Object.values(headers)) this.add(value.replace(/^(Bearer|Basic) /i, ''));
      this.#addUrl(baseUrl);
      this.#addUrl(typeof proxy === 'string' ? proxy : undefined);
    }
    for (const { key, sha256 } of keys) {
      this.add(key);
      this.add(sha256);
    }
    this.#addUrl(databaseUrl);
  }

  /** Of a file that could not be read as a configuration: whatever looks like a key in it. */
  addText(text: string): void {
    for (const [, value] of text.matchAll(
      /(?:key|token|secret|password|authorization)\w*["']?\s*:\s*["']?([^\s"',}]+)/gi,
    )) {
      this.add(value);
    }
    for (const [url] of text.matchAll(/[a-z]+:\/\/[^\s"',}]+/gi)) this.#addUrl(url);
  }

  /** The text without them. */
  strike(text: string): string {
    let struck = text;
    // The longest first: one may lie within another.
    for (const secret of [...this.#known].sort((a, b) => b.length - a.length))
      struck = struck.replaceAll(secret, '***');
    return struck;
  }

  #addUrl(text: string | undefined): void {
    if (text === undefined || !text.includes('@') || !URL.canParse(text)) return;
    const { password, username } = new URL(text);
    this.add(password);
    if (password === '') this.add(username);
    try {
      this.add(decodeURIComponent(password));
    } catch {
      // Taken as it stands, above.
    }
  }
}
