// What is selected and shown. Parts of the page change it by `set` and are told by `on`.

export class State {
  constructor(scene) {
    this.scene = scene;
    Object.assign(this, { runNumber: 0, frame: null, place: null, show: "all", below: 1, heat: false, rival: 0, matrix: false, cell: null });
    this.listeners = [];
    this.filter();
  }

  get map() {
    return this.scene.map;
  }

  /** The run that is shown; null without one. */
  get run() {
    return this.scene.runs[this.runNumber] ?? null;
  }

  on(call) {
    this.listeners.push(call);
  }

  set(changes) {
    if ("frame" in changes) changes = { place: null, rival: 0, ...changes };
    if ("place" in changes) changes = { cell: null, ...changes };
    Object.assign(this, changes);
    if ("show" in changes || "below" in changes || "runNumber" in changes) this.filter();
    for (const call of this.listeners) call(changes);
  }

  /** `shown`: the frames that pass the filters, ascending; `isShown`: by frame. */
  filter() {
    const run = this.run;
    this.shown = [];
    for (let at = 0; run && at < run.frames; at += 1) {
      const kind = this.show === "all" || run.verdict[at] === this.show;
      if (kind && (this.below >= 1 || run.probability[at] < this.below)) this.shown.push(at);
    }
    this.isShown = new Set(this.shown);
  }

  /** Selects the frame that is `count` after the selected one, of those shown; without a run the place. */
  step(count) {
    if (!this.run) {
      const last = this.map.ids.length - 1;
      this.set({ place: this.place === null ? 0 : Math.min(Math.max(this.place + count, 0), last) });
    } else if (this.shown.length) {
      const next = this.shown.findIndex((at) => at >= (this.frame ?? 0));
      const here = next < 0 ? this.shown.length : next;
      const between = this.shown[here] !== this.frame && count > 0 ? 1 : 0; // on a hidden frame: the next one counts
      const index = Math.min(Math.max(here + count - between, 0), this.shown.length - 1);
      this.set({ frame: this.shown[index] });
    }
  }

  /** How many frames were accepted, refused and wrong. */
  counts() {
    const counts = { accepted: 0, refused: 0, wrong: 0 };
    for (const verdict of this.run?.verdict ?? []) counts[verdict] += 1;
    return counts;
  }
}
