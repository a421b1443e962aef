// Tens of thousands of places and the lines between them, written into an ImageData: faster than paths, and without WebGL.

let buffer = null;

function bufferOf(context, width, height) {
  if (!buffer || buffer.width !== width || buffer.height !== height) buffer = context.createImageData(width, height);
  const pixels = new Uint32Array(buffer.data.buffer);
  pixels.fill(0);
  return pixels;
}

/**
 * Draws the map. `map` has x, y (Float64Array), `chains` (rows of each traverse) and `lineColors` (a pixel for each traverse).
 * `colors` has a pixel for each place; `order` the rows, the last on top.
 */
export function drawPlaces(canvas, ratio, camera, map, colors, order) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  if (!width || !height) return;
  const pixels = bufferOf(context, width, height);
  const scale = camera.scale * ratio;
  const [left, top] = [width / 2 - camera.x * scale, height / 2 + camera.y * scale];
  const radius = Math.round(ratio * Math.min(Math.max(0.22 * map.step * camera.scale, 1.2), 4.5));
  map.chains.forEach((rows, traverse) => drawChain(pixels, width, height, map, rows, scale, left, top, 2 * radius, map.lineColors[traverse]));
  const disc = discOf(radius, width);
  for (const row of order) {
    const x = Math.round(map.x[row] * scale + left);
    const y = Math.round(top - map.y[row] * scale);
    if (!(x >= radius && y >= radius && x < width - radius && y < height - radius)) continue; // also NaN
    const at = y * width + x;
    for (const offset of disc) pixels[at + offset] = colors[row];
  }
  context.putImageData(buffer, 0, 0);
}

/** Lines between successive places; where the dots touch they are not seen. */
function drawChain(pixels, width, height, map, rows, scale, left, top, touching, color) {
  let [x0, y0] = [NaN, NaN];
  for (const row of rows) {
    const [x, y] = [map.x[row] * scale + left, top - map.y[row] * scale];
    const long = Math.max(Math.abs(x - x0), Math.abs(y - y0));
    if (long > touching && Math.max(x, x0) >= 0 && Math.min(x, x0) < width && Math.max(y, y0) >= 0 && Math.min(y, y0) < height) {
      drawSegment(pixels, width, height, x0, y0, x, y, long, color);
    }
    [x0, y0] = [x, y];
  }
}

function drawSegment(pixels, width, height, x0, y0, x1, y1, long, color) {
  const steps = Math.ceil(long);
  const [dx, dy] = [(x1 - x0) / steps, (y1 - y0) / steps];
  const [first, last] = inside(x0, dx, width, ...inside(y0, dy, height, 0, steps));
  for (let step = Math.floor(first); step <= last; step += 1) {
    const [x, y] = [Math.round(x0 + step * dx), Math.round(y0 + step * dy)];
    if (x >= 0 && y >= 0 && x < width && y < height) pixels[y * width + x] = color;
  }
}

/** The steps between first and last at which start + step * change lies in [0, limit]. */
function inside(start, change, limit, first, last) {
  if (Math.abs(change) < 1e-9) return [first, last];
  const [one, two] = [-start / change, (limit - start) / change];
  return [Math.max(first, Math.min(one, two)), Math.min(last, Math.max(one, two))];
}

/** Offsets of the pixels of a disc. */
function discOf(radius, width) {
  const offsets = [];
  for (let y = -radius; y <= radius; y += 1) {
    for (let x = -radius; x <= radius; x += 1) {
      if (x * x + y * y <= radius * radius + 0.6 * radius) offsets.push(y * width + x);
    }
  }
  return offsets;
}
