/** Where the name of a single mark stands, so that it overprints as little of the picture as can be. */

export interface Spot {
  readonly x: number;
  readonly y: number;
}

export interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Sizes of the 12 px type of the charts, in units of the picture. */
const LETTER = 6.6;
const ASCENT = 10;
const DESCENT = 3;
/** Between the mark and the name. */
const GAP = 7;
/** Names stand in full, so a step down or up is a line of them. */
const LINE = 14;

/**
 * Tries places to the right and left of the mark, the nearest first, and takes the one that covers least.
 * @param drawn points of lines and marks that should stay readable; see {@link alongLines}
 * @param taken boxes of names already placed
 * @returns the start of the base line, and the box that the name fills
 */
export function placeLabel(
  mark: Spot,
  name: string,
  drawn: readonly Spot[],
  taken: readonly Frame[],
  inside: Frame,
): Spot & { readonly box: Frame } {
  const width = name.length * LETTER;
  const rows = [1, -0.4, 2, -1.4, 3, -2.4, 4, -3.4, 0.3].map((k) => mark.y + k * LINE);
  const columns = [mark.x + GAP, mark.x - GAP - width];
  const spots = rows.flatMap((y) => columns.map((x) => ({ x, y })));
  const cost = spots.map(({ x, y }) => {
    const box = boxOf(x, y, width);
    const out =
      box.left < inside.left || box.right > inside.right || box.top < inside.top || box.bottom > inside.bottom;
    const covered = drawn.filter((p) => contains(box, p)).length;
    return (out ? 1e6 : 0) + 1000 * taken.filter((other) => overlap(box, other)).length + covered;
  });
  const { x, y } = spots[cost.indexOf(Math.min(...cost))]!;
  return { x, y, box: boxOf(x, y, width) };
}

/** Points along a line, close enough that no name slips between two of them. */
export function alongLines(corners: readonly Spot[]): Spot[] {
  return corners.flatMap((b, k) => {
    const a = corners[k - 1] ?? b;
    const steps = Math.max(1, Math.ceil(Math.hypot(b.x - a.x, b.y - a.y) / 4));
    return Array.from({ length: steps }, (_, s) => {
      const share = (s + 1) / steps;
      return { x: a.x + share * (b.x - a.x), y: a.y + share * (b.y - a.y) };
    });
  });
}

const boxOf = (x: number, y: number, width: number): Frame => ({
  left: x,
  right: x + width,
  top: y - ASCENT,
  bottom: y + DESCENT,
});

const contains = (box: Frame, { x, y }: Spot): boolean =>
  x >= box.left - 2 && x <= box.right + 2 && y >= box.top - 2 && y <= box.bottom + 2;

const overlap = (a: Frame, b: Frame): boolean =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
