/** How many, in words for people: `1 judged answer`, `50 judged answers and 3 hints`. */

/** @param noun in the singular, and regular */
export const counted = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

/** Told of beside what was judged, which hints are not; nothing where there are none. */
export const andHints = (hints: number): string => (hints === 0 ? '' : ` and ${counted(hints, 'hint')}`);
