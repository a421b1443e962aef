// The map on the page: draws it, and moves, zooms and selects by pointer.

import { Camera } from "./camera.js";
import { HEAT_PIXELS, onSchemeChange, pixel, theme, traverseColor } from "./colors.js";
import { byId, coalesced, sized } from "./dom.js";
import { drawPlaces } from "./dots.js";
import { drawRun } from "./overlay.js";
import { nearestPoint, roundLength } from "./plane.js";

const CLICK = 14; // pixels from a point

export class MapView {
  constructor(state) {
    this.state = state;
    this.camera = new Camera();
    this.dots = byId("dots");
    this.overlay = byId("overlay");
    this.similarities = null;
    this.draw = coalesced(() => this.drawNow());
    this.recolor();
    this.resize();
    this.fit();
    new ResizeObserver(() => this.resize()).observe(this.overlay);
    onSchemeChange(() => this.recolor());
    this.listen();
    byId("zoom-in").addEventListener("click", () => this.zoom(1.5));
    byId("zoom-out").addEventListener("click", () => this.zoom(1 / 1.5));
    byId("fit").addEventListener("click", () => this.fit());
  }

  fit() {
    this.camera.fit(this.state.map.bounds);
    this.draw();
  }

  zoom(factor, right, down) {
    this.camera.zoom(factor, right, down);
    this.draw();
  }

  pan(right, down) {
    this.camera.pan(right, down);
    this.draw();
  }

  /** Moves to the selected frame or place, if it is not seen. */
  showSelected() {
    const { run, map, frame, place } = this.state;
    const known = run && frame !== null && !Number.isNaN(run.x[frame]);
    const [x, y] = known ? [run.x[frame], run.y[frame]] : [map.x[place ?? run?.best[frame]], map.y[place ?? run?.best[frame]]];
    if (!Number.isNaN(x ?? NaN)) this.camera.show(x, y);
    this.draw();
  }

  /** Colors the places by similarity: Float32Array, or null for the traverses. */
  setSimilarities(similarities) {
    this.similarities = similarities;
    this.recolor();
  }

  recolor() {
    const { map } = this.state;
    this.theme = theme();
    const faded = this.similarities ? pixel(this.theme.rule) : null;
    map.lineColors = map.traverses.map((_, number) => faded ?? pixel(traverseColor(number), 150));
    this.order ??= Uint32Array.from(map.ids, (_, row) => row);
    if (this.similarities) {
      const values = this.similarities;
      this.order.sort((one, two) => values[one] - values[two]);
      const [low, high] = [values[this.order[this.order.length >> 1]], values[this.order[this.order.length - 1]]];
      this.range = [low, high];
      const spread = Math.max(high - low, 1e-6);
      this.colors = Uint32Array.from(values, (one) => HEAT_PIXELS[Math.round(255 * Math.min(Math.max((one - low) / spread, 0), 1))]);
    } else {
      const colors = map.traverses.map((_, number) => pixel(traverseColor(number)));
      this.order.sort();
      this.colors = Uint32Array.from(map.traverse, (traverse) => colors[traverse]);
    }
    this.draw();
  }

  resize() {
    Object.assign(this.camera, { width: Math.max(this.overlay.clientWidth, 1), height: Math.max(this.overlay.clientHeight, 1) });
    this.draw();
  }

  drawNow() {
    const { ratio } = sized(this.dots);
    drawPlaces(this.dots, ratio, this.camera, this.state.map, this.colors, this.order);
    drawRun(sized(this.overlay).context, this.camera, this.state, this.theme);
    const length = roundLength(120 / this.camera.scale);
    byId("scale-bar").style.width = `${length * this.camera.scale}px`;
    byId("scale-text").textContent = this.state.map.lines ? `${Math.max(1, length)} places` : length >= 1000 ? `${length / 1000} km` : `${Number(length.toPrecision(2))} m`;
  }

  listen() {
    const pointers = new Map();
    let moved = 0;
    const spread = () => {
      const [one, two] = [...pointers.values()];
      return two ? Math.hypot(one[0] - two[0], one[1] - two[1]) : 0;
    };
    this.overlay.addEventListener("pointerdown", (event) => {
      this.overlay.setPointerCapture(event.pointerId);
      if (!pointers.size) moved = 0;
      pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
      this.overlay.classList.add("dragged");
    });
    this.overlay.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const [dx, dy] = [event.offsetX - before[0], event.offsetY - before[1]];
      const wide = spread();
      moved += Math.abs(dx) + Math.abs(dy);
      pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
      if (moved < 4) return;
      this.pan(dx / pointers.size, dy / pointers.size);
      if (wide) this.zoom(spread() / wide, event.offsetX, event.offsetY);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      this.overlay.addEventListener(name, (event) => {
        pointers.delete(event.pointerId);
        this.overlay.classList.toggle("dragged", pointers.size > 0);
        if (name === "pointerup" && moved < 4) this.select(event.offsetX, event.offsetY);
      });
    }
    this.overlay.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 30 : 1;
      this.zoom(Math.exp(-0.0015 * lines * event.deltaY), event.offsetX, event.offsetY);
    }, { passive: false });
  }

  /** The frame or the place that is nearest to a point of the canvas; a frame a little sooner, as it is on top. */
  select(right, down) {
    const { state, camera } = this;
    const at = [camera.x + (right - camera.width / 2) / camera.scale, camera.y - (down - camera.height / 2) / camera.scale];
    const most = CLICK / camera.scale;
    const frame = state.run ? nearestPoint(state.run, at, most, state.shown) : null;
    const place = nearestPoint(state.map, at, most);
    if (frame && (!place || frame.away <= place.away + most / 4)) state.set({ frame: frame.row });
    else if (place) state.set({ place: place.row });
  }
}
