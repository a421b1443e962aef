// The map as arrays that can be drawn, and what is near a point of it.

/** Adds to the scene's map: x and y as numbers (NaN unknown), `chains` (rows of each traverse), `step` (usual distance), `bounds`. */
export function prepareMap(scene) {
  const map = scene.map;
  map.x = asNumbers(map.x);
  map.y = asNumbers(map.y);
  map.chains = map.traverses.map(() => []);
  map.traverse.forEach((traverse, row) => map.chains[traverse].push(row));
  map.step = usualStep(map);
  prepareRuns(scene.runs);
  map.bounds = boundsOf([map, ...scene.runs]);
}

export function prepareRuns(runs) {
  for (const run of runs) {
    run.x = asNumbers(run.x ?? []);
    run.y = asNumbers(run.y ?? []);
  }
}

function asNumbers(values) {
  return Float64Array.from(values, (one) => one ?? NaN);
}

function usualStep(map) {
  const steps = [];
  for (const rows of map.chains) {
    for (let at = 1; at < rows.length; at += 1) {
      const step = Math.hypot(map.x[rows[at]] - map.x[rows[at - 1]], map.y[rows[at]] - map.y[rows[at - 1]]);
      if (step > 0) steps.push(step);
    }
  }
  steps.sort((one, two) => one - two);
  return steps.length ? steps[steps.length >> 1] : 1;
}

function boundsOf(parts) {
  const bounds = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y } of parts) {
    for (let at = 0; at < x.length; at += 1) {
      if (Number.isNaN(x[at])) continue;
      bounds[0] = Math.min(bounds[0], x[at]);
      bounds[1] = Math.min(bounds[1], y[at]);
      bounds[2] = Math.max(bounds[2], x[at]);
      bounds[3] = Math.max(bounds[3], y[at]);
    }
  }
  return bounds[0] <= bounds[2] ? bounds : [0, 0, 1, 1];
}

/** The nearest of the points (rows of x and y, all by default) within `most`; null if none. */
export function nearestPoint({ x, y }, at, most, rows = null) {
  let [best, least] = [null, most];
  const count = rows ? rows.length : x.length;
  for (let number = 0; number < count; number += 1) {
    const row = rows ? rows[number] : number;
    const away = Math.hypot(x[row] - at[0], y[row] - at[1]);
    if (away < least) [best, least] = [row, away];
  }
  return best === null ? null : { row: best, away: least };
}

/** 1, 2 or 5 times a power of ten, at most `most`. */
export function roundLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return power * ([5, 2, 1].find((one) => one * power <= most) ?? 1);
}
