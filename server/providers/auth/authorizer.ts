/** How a call to a provider proves whose it is: headers, made for the request as it goes out. */

export interface OutgoingRequest {
  readonly method: string;
  readonly url: URL;
  /** Names in small letters. A signature covers these: none may change afterwards. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/**
 * Headers to add.
 * @throws RoutingError `PROVIDER_NOT_CONFIGURED` where there are no credentials or they were refused;
 *   `UPSTREAM_ERROR` where those who give them out cannot be reached. No message holds a secret.
 */
export type Authorizer = (
  request: OutgoingRequest,
) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;

/** `Authorization: Bearer KEY` */
export function bearer(key: string): Authorizer {
  const headers = { authorization: `Bearer ${key}` };
  return () => headers;
}

/** A key in a header of the provider's own: `x-api-key`, `api-key`, `x-goog-api-key`. */
export function apiKeyHeader(name: string, key: string): Authorizer {
  const headers = { [name.toLowerCase()]: key };
  return () => headers;
}
