/** Being told to stop: by Ctrl-C, by SIGTERM, or because the npm that started us is gone. */

/** Ctrl-C reaches this process from the terminal and again through npm or tsx: that is one wish, not two. */
const ONE_KEY_PRESS_MS = 1000;

/**
 * @param first called once, with what asked for the stop
 * @param again called when it is asked for once more, later than the echo of one key press
 * @returns stops listening
 */
export function onStop(first: (signal: string) => void, again: () => void): () => void {
  let since: number | undefined;
  const asked = (signal: string) => {
    if (since === undefined) {
      since = performance.now();
      first(signal);
    } else if (performance.now() - since >= ONE_KEY_PRESS_MS) again();
  };
  const interrupt = () => asked('SIGINT');
  const terminate = () => asked('SIGTERM');
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', terminate);
  const stopWatching = whenNpmEnds(() => asked('npm ended'));
  return () => {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', terminate);
    stopWatching();
  };
}

/**
 * `npm run` starts us in a shell, and a SIGTERM to npm ends only that shell: without looking, we
 * would stay behind and hold ports and folders.
 */
function whenNpmEnds(stop: () => void): () => void {
  if (process.env.npm_lifecycle_event === undefined) return () => {};
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop();
  }, 250);
  timer.unref();
  return () => clearInterval(timer);
}
