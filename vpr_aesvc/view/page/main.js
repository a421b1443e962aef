// Starts the page: reads the scene, connects its parts, and redraws what a change touches.

import { onSchemeChange } from "./colors.js";
import { connectFilters, connectKeys } from "./controls.js";
import { Detail } from "./detail.js";
import { byId } from "./dom.js";
import { showLegend } from "./legend.js";
import { MapView } from "./mapview.js";
import { Matrix } from "./matrix.js";
import { prepareMap, prepareRuns } from "./plane.js";
import { openSource } from "./source.js";
import { State } from "./state.js";
import { Timeline } from "./timeline.js";

const PERIOD = 500; // milliseconds between looks for new frames
const FILTERS = ["show", "below"];

async function start() {
  const source = openSource();
  const scene = await source.scene();
  prepareMap(scene);
  const state = new State(scene);
  const view = new MapView(state);
  const timeline = new Timeline(state);
  const detail = new Detail(state, source);
  const matrix = new Matrix(state, source);
  connectFilters(state);
  connectKeys(state, view);
  const refresh = () => {
    showTitle(state);
    showLegend(state, view);
    timeline.draw();
    view.draw();
    matrix.draw();
  };
  onSchemeChange(() => showLegend(state, view));
  state.on(async (changes) => {
    if ("matrix" in changes) matrix.show();
    refresh();
    if (Object.keys(changes).some((name) => !["heat", "matrix"].includes(name) && (state.place !== null || !FILTERS.includes(name)))) detail.show();
    if (changes.frame >= 0 || changes.place >= 0) view.showSelected();
    if ("heat" in changes || "frame" in changes || "runNumber" in changes) await showHeat(state, view, source);
  });
  refresh();
  view.resize(); // the filters and the time line have taken their room
  view.fit();
  detail.show();
  if (state.run?.frames) state.set({ frame: Math.max(state.run.verdict.indexOf("wrong"), 0) });
  document.body.dataset.ready = "yes";
  if (scene.live) await follow(state, source, matrix);
}

/** Shows frames as they come. While the newest one is selected, the next one is selected when it comes. */
async function follow(state, source, matrix) {
  for (;;) {
    await new Promise((done) => setTimeout(done, PERIOD));
    const runs = await source.grownRuns(state.scene.runs.reduce((sum, run) => sum + run.frames, 0));
    if (!runs) continue;
    const old = state.run; // of a long run the server keeps the newest frames alone
    const moved = runs[state.runNumber].dropped - old.dropped;
    const followed = state.place === null && !state.cell && (state.frame === null || state.frame === state.run.frames - 1);
    prepareRuns(runs);
    state.scene.runs = runs;
    if (moved && matrix.cosines) matrix.load();
    const frame = followed ? state.run.frames - 1 : state.frame - moved;
    state.set({ runNumber: state.runNumber, ...(followed || (moved && state.frame !== null) ? { frame: Math.max(frame, 0) } : {}) });
  }
}

/** Colors the places by their similarity to the selected frame, if that is wanted. */
async function showHeat(state, view, source) {
  const { frame, runNumber } = state;
  const similarities = state.heat && frame !== null ? await source.similarities(runNumber, frame) : null;
  if (frame !== state.frame || runNumber !== state.runNumber) return; // another one was selected meanwhile
  view.setSimilarities(similarities);
  showLegend(state, view);
}

function showTitle(state) {
  const { map, run } = state;
  const counts = state.counts();
  byId("title").textContent = run ? `${run.name} in ${map.name}` : map.name;
  document.title = `${byId("title").textContent} – vpr view`;
  const places = `${map.ids.length.toLocaleString("en")} places in ${map.traverses.length} traverse${map.traverses.length === 1 ? "" : "s"}`;
  const judged = run && !run.truth.startsWith("not judged");
  const wrong = judged ? ` (${counts.wrong} wrong)` : "";
  const frames = run ? ` · ${run.frames} frames: ${counts.accepted + counts.wrong} accepted${wrong}, ${counts.refused} refused · ${run.truth}` : "";
  byId("summary").textContent = places + frames;
}

start().catch((error) => {
  byId("title").textContent = `The page cannot be shown: ${error.message}`;
});
