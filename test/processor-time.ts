/** How long something takes by the processor's own count: a machine that is busy with other work changes little of it. */

/** Milliseconds of processor time that `work` took, of all threads of this process. */
export async function processorMs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
