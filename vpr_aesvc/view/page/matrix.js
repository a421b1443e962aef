// The distance matrix of two sides, each a traverse of the map or a run. A cell is the cosine of a place of one and a place of the other.

import { HEAT_PIXELS, heatGradient, onSchemeChange, theme } from "./colors.js";
import { byId, coalesced, element, sized } from "./dom.js";

const UNKNOWN = -32768;
const UNIT = 32767;
const LONGEST = 4; // times as wide as high, or as high as wide, is a cell at most

export class Matrix {
  constructor(state, source) {
    Object.assign(this, { state, source, canvas: byId("cells"), cosines: null, image: null, asked: 0 });
    this.draw = coalesced(() => this.drawNow());
    if (!source.cosines || !state.map.ids.length) return;
    byId("matrix-open").hidden = false;
    byId("matrix-open").addEventListener("click", () => state.set({ matrix: !state.matrix }));
    byId("sides").addEventListener("submit", (event) => event.preventDefault());
    const names = [...state.map.traverses, ...state.scene.runs.map((run) => `run ${run.name}`)];
    for (const id of ["rows", "columns"]) {
      byId(id).append(...names.map((name, number) => element("option", { value: number }, name)));
      byId(id).addEventListener("change", () => this.load());
    }
    const run = state.scene.runs.length ? state.map.traverses.length : 0;
    byId("columns").value = run || Math.min(1, names.length - 1);
    new ResizeObserver(this.draw).observe(this.canvas);
    onSchemeChange(() => this.paint());
    this.canvas.addEventListener("click", (event) => this.select(this.cellAt(event.offsetX, event.offsetY)));
    this.canvas.addEventListener("keydown", (event) => this.move(event));
  }

  /** Shows the matrix in place of the map, or the map again. */
  show() {
    const { matrix } = this.state;
    byId("matrix").hidden = !matrix;
    byId("map").hidden = matrix;
    byId("matrix-open").setAttribute("aria-pressed", String(matrix));
    if (matrix && !this.cosines) this.load();
  }

  async load() {
    const asked = (this.asked += 1);
    const [rows, columns] = [Number(byId("rows").value), Number(byId("columns").value)];
    let [found, problem] = [null, ""];
    try {
      found = await this.source.cosines(rows, columns);
    } catch (error) {
      problem = error.message;
    }
    if (asked !== this.asked) return;
    this.sides = [rows, columns];
    this.cosines = found;
    this.paint();
    byId("matrix-text").textContent = found ? this.words() : problem || "No descriptors of this run are known: the node sends them with publish_descriptors.";
    if (this.state.cell) this.state.set({ cell: null });
  }

  /** The colors reach from the median to the highest cosine, as those of the places on the map. */
  paint() {
    if (!this.cosines) return this.draw();
    const { values, counts } = this.cosines;
    const known = values.filter((one) => one !== UNKNOWN).sort();
    const [low, high] = (this.range = [known[known.length >> 1], known[known.length - 1]]);
    const nothing = new Uint8ClampedArray(4);
    this.image = new OffscreenCanvas(counts[1], counts[0]);
    const picture = new ImageData(counts[1], counts[0]);
    const pixels = new Uint32Array(picture.data.buffer);
    const spread = Math.max(high - low, 1);
    values.forEach((one, at) => {
      pixels[at] = one === UNKNOWN ? nothing[0] : HEAT_PIXELS[Math.round(255 * Math.min(Math.max((one - low) / spread, 0), 1))];
    });
    this.image.getContext("2d").putImageData(picture, 0, 0);
    this.draw();
  }

  words() {
    const { counts, of } = this.cosines;
    const sides = this.sides.map((side, axis) => {
      const sampled = counts[axis] < of[axis] ? `${counts[axis].toLocaleString("en")} of ${of[axis].toLocaleString("en")}` : `${of[axis]}`;
      return `${sampled} ${this.isRun(side) ? "frames" : "places"} of ${this.nameOf(side)}`;
    });
    const [low, high] = this.range.map((one) => (Math.round((100 * one) / UNIT) / 100 + 0).toFixed(2)); // not -0.00
    byId("matrix-ramp").style.background = heatGradient();
    byId("matrix-range").textContent = `cosine ${low} (median) to ${high}`;
    const words = `${sides[0]} (rows, from above) and ${sides[1]} (columns, from the left)`;
    this.canvas.setAttribute("aria-label", `Distance matrix: cosines of ${words}, ${low} in the median, at most ${high}. Arrow keys select a cell.`);
    return words;
  }

  drawNow() {
    const { context, width, height } = sized(this.canvas);
    if (!this.cosines) return;
    const { counts } = this.cosines;
    const [wide, high] = [width / counts[1], height / counts[0]];
    const [dx, dy] = (this.cell = [Math.min(wide, LONGEST * high), Math.min(high, LONGEST * wide)]);
    context.imageSmoothingEnabled = Math.min(dx, dy) < 1;
    context.drawImage(this.image, 0, 0, counts[1] * dx, counts[0] * dy);
    if (!this.state.cell) return;
    const [row, column] = this.state.cell.at;
    const [right, down] = [Math.max(dx, 7), Math.max(dy, 7)];
    const colors = theme();
    for (const [line, color] of [[5, colors.page], [2, colors.ink]]) {
      context.lineWidth = line;
      context.strokeStyle = color;
      context.strokeRect((column + 0.5) * dx - right / 2 - 1, (row + 0.5) * dy - down / 2 - 1, right + 2, down + 2);
    }
  }

  cellAt(right, down) {
    return [Math.floor(down / this.cell[1]), Math.floor(right / this.cell[0])];
  }

  move(event) {
    const page = 10;
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], PageUp: [-page, 0], PageDown: [page, 0] };
    const move = moves[event.key];
    if (!move || !this.cosines || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // elsewhere they select frames
    const from = this.state.cell?.at;
    const step = event.shiftKey ? page : 1;
    this.select(from ? from.map((one, axis) => Math.min(Math.max(one + step * move[axis], 0), this.cosines.counts[axis] - 1)) : [0, 0]);
  }

  select(at) {
    if (!this.cosines || at.some((one, axis) => one < 0 || one >= this.cosines.counts[axis])) return;
    const { counts, of, values } = this.cosines;
    const value = values[at[0] * counts[1] + at[1]];
    const sides = at.map((one, axis) => this.pictureOf(this.sides[axis], Math.floor((one * of[axis]) / counts[axis])));
    const cosine = value === UNKNOWN ? "unknown" : (value / UNIT).toFixed(3);
    byId("cell-text").textContent = `Cosine ${cosine}: row ${at[0] + 1}, ${sides[0].caption}; column ${at[1] + 1}, ${sides[1].caption}`;
    this.state.set({ cell: { at, cosine, sides } });
  }

  isRun(side) {
    return side >= this.state.map.traverses.length;
  }

  nameOf(side) {
    const { map, scene } = this.state;
    return this.isRun(side) ? scene.runs[side - map.traverses.length].name : map.traverses[side];
  }

  /** What is shown of one place of a side, and the change of the state that selects it on the map. */
  pictureOf(side, number) {
    const { map, scene } = this.state;
    if (this.isRun(side)) {
      const runNumber = side - map.traverses.length;
      const label = scene.runs[runNumber].label[number];
      return { source: this.source.framePicture(runNumber, number), caption: `frame ${label}`, alt: `Frame ${label}`, go: { runNumber, frame: number } };
    }
    const row = map.chains[side][number];
    const caption = `place ${map.ids[row]}, ${map.label[row]}, ${map.traverses[side]}`;
    return { source: this.source.placePicture(map.ids[row]), caption, alt: `Place ${map.label[row]}`, go: { place: row } };
  }
}
