/** Verdicts on answers that are out: verifiers by rule, and a judge for a random sample (README.md). */
import type { Afterwork } from '../afterwards.ts';
import type { Gateway } from '../gateway.ts';
import { Audits } from './audit.ts';
import { verifierWorks } from './verifiers.ts';

export { Audits, auditDraw, leaveOutOwnAnswer } from './audit.ts';
export { judgeTrouble } from './judge.ts';

export const verification = (gateway: Gateway): Afterwork[] => [...verifierWorks(gateway), new Audits(gateway)];
