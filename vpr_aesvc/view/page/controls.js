// Filters and keys.

import { byId, element } from "./dom.js";

export function connectFilters(state) {
  const { runs } = state.scene;
  byId("filters").hidden = byId("time").hidden = !runs.length;
  byId("run-label").hidden = runs.length < 2;
  byId("run").append(...runs.map((run, number) => element("option", { value: number }, run.name)));
  byId("run").addEventListener("change", (event) => state.set({ runNumber: Number(event.target.value), frame: null, place: null }));
  for (const radio of document.getElementsByName("show")) {
    radio.addEventListener("change", () => state.set({ show: radio.value }));
  }
  byId("below").addEventListener("input", (event) => state.set({ below: Number(event.target.value) }));
  byId("heat").addEventListener("change", (event) => state.set({ heat: event.target.checked }));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  state.on(() => showFilters(state));
  showFilters(state);
}

function showFilters(state) {
  byId("below-value").textContent = state.below.toFixed(2);
  byId("heat").checked = state.heat;
  for (const radio of document.getElementsByName("show")) radio.checked = radio.value === state.show;
  if (state.run) byId("count").textContent = `${state.shown.length} of ${state.run.frames} frames`;
}

/** Keys of the whole page, but for those that a form field needs itself. */
export function connectKeys(state, view) {
  const moves = { ArrowLeft: [90, 0], ArrowRight: [-90, 0], ArrowUp: [0, 90], ArrowDown: [0, -90] };
  const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 };
  const letters = {
    a: () => state.set({ show: "all" }),
    w: () => state.set({ show: "wrong" }),
    r: () => state.set({ show: "refused" }),
    h: () => state.set({ heat: !state.heat }),
    m: () => byId("matrix-open").click(),
    "+": () => view.zoom(1.5),
    "=": () => view.zoom(1.5),
    "-": () => view.zoom(1 / 1.5),
    0: () => view.fit(),
  };
  document.addEventListener("keydown", (event) => {
    const own = event.target.closest("select, input[type=radio], input[type=range]");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const scrolls = event.target.closest("#detail") && !event.key.startsWith("Arrow");
    if (event.shiftKey && moves[event.key]) view.pan(...moves[event.key]);
    else if (steps[event.key] && !own && !scrolls) state.step(steps[event.key]);
    else if (letters[event.key.toLowerCase()] && !event.target.closest("select")) letters[event.key.toLowerCase()]();
    else return;
    event.preventDefault();
  });
}
