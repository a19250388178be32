/** Progress of long work: on a terminal one line that is overwritten, in a log a line for each step. Never on standard output. */
export function progressLine(): { say: (message: string) => void; clear: () => void } {
  const { stderr } = process;
  const wipe = stderr.isTTY ? '\r\x1b[2K' : '';
  return {
    say: (message) =>
      stderr.write(stderr.isTTY ? `${wipe}${message.slice(0, (stderr.columns ?? 80) - 2)} …` : `${message}\n`),
    clear: () => {
      if (wipe) stderr.write(wipe);
    },
  };
}
