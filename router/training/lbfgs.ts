/** Minimises a smooth function of many variables by limited-memory BFGS with a backtracking line search. */

export interface Evaluated {
  readonly value: number;
  readonly gradient: Float64Array;
}

const MEMORY = 8;

/**
 * @param at   start; not changed
 * @param evaluate value and gradient at a point
 * @returns the best point found; stops when a step no longer lowers the value by a share of `tolerance`
 * @see Nocedal & Wright, "Numerical Optimization", 2006, algorithms 7.4 and 3.1
 */
export function minimise(
  at: Float64Array,
  evaluate: (x: Float64Array) => Evaluated,
  options: { rounds?: number; tolerance?: number } = {},
): Float64Array {
  let x = at.slice();
  let now = evaluate(x);
  const steps: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  for (let round = 0; round < (options.rounds ?? 60); round++) {
    const direction = newtonLike(now.gradient, steps);
    const slope = dot(direction, now.gradient);
    if (!(slope < 0)) break;
    // Before any curvature is known a unit step may be far too long.
    let length = steps.length === 0 ? Math.min(1, 1 / norm(now.gradient)) : 1;
    let next: Evaluated | undefined;
    let to = x;
    for (let halving = 0; halving < 25; halving++) {
      to = x.map((v, k) => v + length * direction[k]!);
      const tried = evaluate(to);
      if (tried.value <= now.value + 1e-4 * length * slope) {
        next = tried;
        break;
      }
      length /= 2;
    }
    if (next === undefined) break;
    const s = to.map((v, k) => v - x[k]!);
    const y = next.gradient.map((g, k) => g - now.gradient[k]!);
    const sy = dot(s, y);
    if (sy > 1e-12) {
      steps.push({ s, y, rho: 1 / sy });
      if (steps.length > MEMORY) steps.shift();
    }
    const gain = now.value - next.value;
    x = to;
    now = next;
    if (gain <= (options.tolerance ?? 1e-6) * Math.max(1, Math.abs(now.value))) break;
  }
  return x;
}

/** −H g by the two-loop recursion. */
function newtonLike(
  gradient: Float64Array,
  steps: readonly { s: Float64Array; y: Float64Array; rho: number }[],
): Float64Array {
  const q = gradient.map((g) => -g);
  const alphas: number[] = [];
  for (let k = steps.length - 1; k >= 0; k--) {
    const { s, y, rho } = steps[k]!;
    const alpha = rho * dot(s, q);
    alphas[k] = alpha;
    for (let a = 0; a < q.length; a++) q[a]! -= alpha * y[a]!;
  }
  const last = steps.at(-1);
  if (last) {
    const scale = 1 / (last.rho * dot(last.y, last.y));
    for (let a = 0; a < q.length; a++) q[a]! *= scale;
  }
  steps.forEach(({ s, y, rho }, k) => {
    const beta = rho * dot(y, q);
    for (let a = 0; a < q.length; a++) q[a]! += (alphas[k]! - beta) * s[a]!;
  });
  return q;
}

function dot(a: Float64Array, b: Float64Array): number {
  let s = 0;
  for (let k = 0; k < a.length; k++) s += a[k]! * b[k]!;
  return s;
}

const norm = (a: Float64Array): number => Math.sqrt(dot(a, a)) || 1;
