// The run over the map: its path, a line from each frame to its match, and what is selected.

const WIDTHS = { refused: 1, accepted: 1.4, wrong: 2.2 };

/** Draws with a context in CSS pixels. `colors` as of `theme()`. */
export function drawRun(context, camera, state, colors) {
  const { run, map } = state;
  if (map.lines) drawNames(context, camera, map, colors.quiet);
  if (run && run.frames) {
    drawPath(context, camera, run, map.lines, colors.ink);
    for (const verdict of ["refused", "accepted", "wrong"]) drawMatches(context, camera, state, verdict, colors);
  }
  drawSelection(context, camera, run, map, state, colors);
}

/** The name of each traverse at the left of its line, where there is room. */
function drawNames(context, camera, map, color) {
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.fillStyle = color;
  let before = -Infinity;
  map.chains.forEach((rows, traverse) => {
    const [x, y] = camera.toScreen(map.x[rows[0]], map.y[rows[0]]);
    if (y - before < 11) return;
    context.fillText(map.traverses[traverse].slice(-40), x - 10, y);
    before = y;
  });
}

/** `apart`: frames at different heights are of different clips. */
function drawPath(context, camera, run, apart, color) {
  context.strokeStyle = color;
  context.globalAlpha = 0.75;
  context.lineWidth = 1.5;
  context.setLineDash([]);
  context.beginPath();
  let [before, down] = [NaN, NaN];
  for (let at = 0; at < run.frames; at += 1) {
    const [x, y] = camera.toScreen(run.x[at], run.y[at]);
    if (Number.isNaN(x)) {
      before = NaN;
    } else if (Number.isNaN(before) || (apart && run.y[at] !== run.y[at - 1])) {
      context.moveTo(x, y);
      [before, down] = [x, y];
    } else if (Math.abs(x - before) + Math.abs(y - down) > 2) {
      context.lineTo(x, y);
      [before, down] = [x, y];
    }
  }
  context.stroke();
  context.globalAlpha = 1;
}

function drawMatches(context, camera, state, verdict, colors) {
  const { run, map } = state;
  context.strokeStyle = context.fillStyle = colors[verdict];
  context.lineWidth = WIDTHS[verdict];
  context.globalAlpha = verdict === "refused" ? 0.55 : 0.9;
  context.setLineDash(verdict === "refused" ? [4, 4] : []);
  const dots = new Path2D();
  const radius = verdict === "wrong" ? 4 : 2.5;
  context.beginPath();
  for (const at of state.shown) {
    if (run.verdict[at] !== verdict || run.best[at] < 0) continue;
    const [x, y] = camera.toScreen(run.x[at], run.y[at]);
    const [u, v] = camera.toScreen(map.x[run.best[at]], map.y[run.best[at]]);
    const known = !Number.isNaN(x);
    if (known && !Number.isNaN(u)) {
      if (Math.max(x, u) < 0 || Math.max(y, v) < 0 || Math.min(x, u) > camera.width || Math.min(y, v) > camera.height) continue;
      context.moveTo(x, y);
      context.lineTo(u, v);
    }
    const [dx, dy] = known ? [x, y] : [u, v]; // a frame without a place of its own is shown at its match
    dots.rect(dx - radius, dy - radius, 2 * radius, 2 * radius);
  }
  context.stroke();
  context.setLineDash([]);
  context.fill(dots);
  context.globalAlpha = 1;
}

function drawSelection(context, camera, run, map, state, colors) {
  const at = state.frame;
  if (run && at !== null && run.frames > at) {
    const [x, y] = camera.toScreen(run.x[at], run.y[at]);
    const match = run.best[at];
    if (match >= 0) {
      const [u, v] = camera.toScreen(map.x[match], map.y[match]);
      context.strokeStyle = colors[run.verdict[at]];
      context.lineWidth = 3;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(u, v);
      context.stroke();
      ring(context, u, v, 7, colors[run.verdict[at]], colors.page);
    }
    ring(context, x, y, 9, colors.ink, colors.page);
  }
  if (state.place !== null) ring(context, ...camera.toScreen(map.x[state.place], map.y[state.place]), 8, colors.ink, colors.page);
}

function ring(context, x, y, radius, color, around) {
  if (Number.isNaN(x)) return;
  for (const [width, stroke] of [[6, around], [3, color]]) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.lineWidth = width;
    context.strokeStyle = stroke;
    context.stroke();
  }
}
