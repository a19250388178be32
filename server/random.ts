/** Random bytes from the operating system, fetched many at a time: each fetch is a call into the kernel. */
import { randomFillSync } from 'node:crypto';

const pool = Buffer.allocUnsafe(4096);
let at = pool.length;

/** Uniform in [0, 1), 48 random bits that nobody can foresee. */
export const uniform = (): number => freshBytes(6).readUIntBE(0, 6) / 2 ** 48;

/** @param size at most 64 @returns bytes that nobody else gets; copy them to keep them */
export function freshBytes(size: number): Buffer {
  if (at + size > pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  at += size;
  return pool.subarray(at - size, at);
}
