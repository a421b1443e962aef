// The run along time: a bar of its probability for each frame, in the color of its verdict. Dragging scrubs.

import { onSchemeChange, theme, VERDICTS } from "./colors.js";
import { byId, coalesced, digits, sized } from "./dom.js";

const STRIP = 8; // pixels below, that show the verdict of each frame also where the bar is low

export class Timeline {
  constructor(state) {
    this.state = state;
    this.canvas = byId("timeline");
    this.draw = coalesced(() => this.drawNow());
    new ResizeObserver(this.draw).observe(this.canvas);
    onSchemeChange(this.draw);
    const scrub = (event) => {
      const part = Math.min(Math.max(event.offsetX / this.canvas.clientWidth, 0), 0.999999);
      const frame = this.nearestShown(Math.floor(part * state.run.frames));
      if (frame !== null && frame !== state.frame) state.set({ frame });
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      scrub(event);
    });
    this.canvas.addEventListener("pointermove", (event) => event.buttons && scrub(event));
  }

  nearestShown(at) {
    const { shown } = this.state;
    return shown.reduce((best, one) => (best === null || Math.abs(one - at) < Math.abs(best - at) ? one : best), null);
  }

  drawNow() {
    const { run, frame, isShown } = this.state;
    if (!run || !run.frames) return;
    const { context, width, height } = sized(this.canvas);
    const colors = theme();
    const room = height - STRIP - 4;
    const wide = Math.max(width / run.frames, 1);
    context.fillStyle = colors.rule;
    for (const level of [0, 0.5, 1]) context.fillRect(0, Math.round(room * (1 - level)), width, 1);
    for (const column of this.columns(Math.floor(width))) {
      context.globalAlpha = column.shown ? 1 : 0.18;
      context.fillStyle = colors[VERDICTS[column.verdict]];
      const x = (column.at * width) / run.frames;
      const high = Math.max(room * column.probability, 1);
      const gap = wide > 4 ? 1 : 0;
      context.fillRect(x, room - high, wide - gap, high);
      const strip = column.verdict === 2 ? STRIP : column.verdict === 1 ? STRIP / 2 : 3;
      context.fillRect(x, room + 4, wide - gap, strip);
    }
    context.globalAlpha = 1;
    if (frame === null) return;
    context.strokeStyle = colors.ink;
    context.lineWidth = 2;
    const middle = ((frame + 0.5) * width) / run.frames;
    context.strokeRect(middle - wide / 2 - 1, 1, wide + 2, height - 2);
    this.say(run, frame, isShown);
  }

  /** One column for each frame, or for each pixel with the highest probability and the worst verdict of its frames. */
  columns(width) {
    const { run, isShown } = this.state;
    const columns = new Map();
    for (let at = 0; at < run.frames; at += 1) {
      const key = run.frames > width ? Math.floor((at * width) / run.frames) : at;
      const verdict = { accepted: 0, refused: 1, wrong: 2 }[run.verdict[at]];
      const column = columns.get(key) ?? { at, probability: 0, verdict: 1, shown: false, any: false };
      const rank = [1, 0, 2];
      column.verdict = column.any ? [column.verdict, verdict].sort((one, two) => rank[two] - rank[one])[0] : verdict;
      column.probability = Math.max(column.probability, run.probability[at]);
      column.shown ||= isShown.has(at);
      column.any = true;
      columns.set(key, column);
    }
    return columns.values();
  }

  /** The time line in words, for all and for screen readers. */
  say(run, frame) {
    const time = timeOf(run, frame);
    const words = `Frame ${frame + 1} of ${run.frames}${time}: ${run.verdict[frame]}, probability ${digits(run.probability[frame])}`;
    this.canvas.setAttribute("aria-valuemax", run.frames);
    this.canvas.setAttribute("aria-valuenow", frame + 1);
    this.canvas.setAttribute("aria-valuetext", words);
    byId("time-text").replaceChildren(words);
  }
}

/** ", 12.4 s" from the start of the run; nothing without stamps. */
function timeOf(run, frame) {
  const [start, now] = [run.stamp[0], run.stamp[frame]];
  return start === null || now === null ? "" : `, ${(now - start).toFixed(1)} s`;
}
