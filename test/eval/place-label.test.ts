import { expect, test } from 'vitest';
import { alongLines, placeLabel } from '../../eval/report/place-label.ts';

const frame = { left: 0, right: 400, top: 0, bottom: 300 };
const mark = { x: 100, y: 100 };

test('a name stands below and right of its mark where nothing is in the way', () => {
  const { x, y } = placeLabel(mark, 'random', [mark], [], frame);
  expect(x).toBeGreaterThan(mark.x);
  expect(y).toBeGreaterThan(mark.y);
});

test('a name moves off a line, and off a name that stands there already', () => {
  const below = alongLines([
    { x: 0, y: 110 },
    { x: 400, y: 110 },
  ]);
  const moved = placeLabel(mark, 'random', below, [], frame);
  for (const p of below) {
    const inside = p.x > moved.box.left && p.x < moved.box.right && p.y > moved.box.top && p.y < moved.box.bottom;
    expect(inside).toBe(false);
  }
  const first = placeLabel(mark, 'random', [], [], frame);
  const second = placeLabel(mark, 'cheapest', [], [first.box], frame);
  const apart = second.box.right <= first.box.left || second.box.top >= first.box.bottom;
  expect(apart || second.box.bottom <= first.box.top).toBe(true);
});

test('a name stays inside the picture at its corners', () => {
  for (const x of [2, 398]) {
    for (const y of [2, 298]) {
      const { box } = placeLabel({ x, y }, 'cheapest', [], [], frame);
      expect(box.left).toBeGreaterThanOrEqual(frame.left);
      expect(box.right).toBeLessThanOrEqual(frame.right);
      expect(box.top).toBeGreaterThanOrEqual(frame.top);
      expect(box.bottom).toBeLessThanOrEqual(frame.bottom);
    }
  }
});

test('points along a line are at most four units apart', () => {
  const points = alongLines([
    { x: 0, y: 0 },
    { x: 30, y: 40 },
  ]);
  expect(points).toHaveLength(14); // the start, and 50 / 4 rounded up
  expect(points.at(-1)).toEqual({ x: 30, y: 40 });
});
