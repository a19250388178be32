/** W3C Trace Context, `traceparent`: whose trace a request belongs to. What is malformed begins a new one. */

export interface RemoteParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** @see https://www.w3.org/TR/trace-context/#traceparent-header: a later version may say more after the flags */
export function readTraceparent(header: string | string[] | undefined): RemoteParent | null {
  if (typeof header !== 'string' || header.length > 200) return null;
  const [, version, traceId, spanId, flags, more] = FORM.exec(header.trim()) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return null;
  if (/^0+$/.test(traceId!) || /^0+$/.test(spanId!)) return null;
  return { traceId: traceId!, spanId: spanId!, traceFlags: Number.parseInt(flags!, 16) & 1 };
}
