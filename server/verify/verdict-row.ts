/** What a verdict's row is known by, and the draw for a share of the requests: functions of the decision's id alone. */
import { createHash } from 'node:crypto';

/** The same verdict twice is one row. @returns 32 hex digits */
export const rowId = (decisionId: string, source: string): string =>
  digest('verdict', decisionId, source).toString('hex');

/** Uniform in [0, 1), the same before the answer and after it. */
export const shareDraw = (decisionId: string, name: string): number =>
  digest('share', decisionId, name).readUIntBE(0, 6) / 2 ** 48;

const digest = (what: string, decisionId: string, name: string): Buffer =>
  createHash('sha256').update(`${what}\n${decisionId}\n${name}`).digest().subarray(0, 16);
