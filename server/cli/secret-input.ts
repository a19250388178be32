/** Reads a secret from standard input: typed without being shown, or handed in by a pipe or a file. */

/** No key is longer; whatever sends more is not one. */
const MAX_CHARS = 16_384;

/** One secret, without the line end after it. @param prompt shown where somebody types */
export async function readSecret(prompt: string): Promise<string> {
  return process.stdin.isTTY ? await typed(prompt) : await piped();
}

async function piped(): Promise<string> {
  let text = '';
  for await (const piece of process.stdin.setEncoding('utf8')) {
    text += piece;
    if (text.length > MAX_CHARS) break;
  }
  return text.trim();
}

/** Nothing typed is echoed. Ctrl-C ends the program as ever. */
async function typed(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(prompt);
  stdin.setRawMode(true).setEncoding('utf8').resume();
  try {
    return await new Promise<string>((resolve) => {
      let text = '';
      const take = (piece: string) => {
        for (const char of piece) {
          if (char === '\u0003') process.exit(130);
          if (char === '\r' || char === '\n' || char === '\u0004') {
            stdin.off('data', take);
            resolve(text.trim());
            return;
          }
          if (char === '\u007f' || char === '\b') text = text.slice(0, -1);
          else if (text.length <= MAX_CHARS) text += char;
        }
      };
      stdin.on('data', take);
    });
  } finally {
    stdin.setRawMode(false).pause();
    stderr.write('\n');
  }
}
