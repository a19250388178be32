/** Something that expires, fetched once for all who ask, and anew shortly before it does. */

export interface Expiring<T> {
  readonly value: T;
  /** Milliseconds since 1970; undefined: never. */
  readonly expiresAt?: number | undefined;
}

export interface RenewedOptions {
  /** How long before its end it is renewed, milliseconds. */
  readonly earlyMs?: number | undefined;
  readonly now?: (() => number) | undefined;
}

/** A failed renewal is passed over while what is there still holds; then it rejects, and the next call tries again. */
export function renewed<T>(
  fetch: () => Promise<Expiring<T>>,
  { earlyMs = 300_000, now = Date.now }: RenewedOptions = {},
): () => Promise<T> {
  let held: Expiring<T> | undefined;
  let coming: Promise<Expiring<T>> | undefined;
  const renew = () => {
    coming ??= fetch()
      .then((fresh) => {
        held = fresh;
        return fresh;
      })
      .finally(() => {
        coming = undefined;
      });
    return coming;
  };
  return async () => {
    const { expiresAt = Number.POSITIVE_INFINITY } = held ?? {};
    if (held !== undefined && now() < expiresAt - earlyMs) return held.value;
    if (held !== undefined && now() < expiresAt) return (await renew().catch(() => held!)).value;
    return (await renew()).value;
  };
}
