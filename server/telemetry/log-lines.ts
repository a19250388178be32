/** Lines of the log as a terminal may show them: whatever a client wrote, one line stays one line, and moves no cursor. */

/** What JSON does not escape and some terminals or readers act on: DEL, C1 controls, line and paragraph separators, marks that reverse text. */
const ACTED_ON = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** @param to takes whole lines of JSON, in which all below U+0020 is escaped already */
export const logLines = (to: { write(line: string): unknown }): { write(line: string): void } => ({
  write(line) {
    to.write(line.replace(ACTED_ON, escaped));
  },
});

/** The same character to a reader of JSON. */
const escaped = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
