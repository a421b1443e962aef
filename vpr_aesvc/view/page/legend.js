// What the colors of the map mean.

import { heatGradient, theme, traverseColor } from "./colors.js";
import { byId, element } from "./dom.js";

const MOST_TRAVERSES = 5;

export function showLegend(state, view) {
  const colors = theme();
  const rows = [];
  if (view.similarities) {
    rows.push(entry("ramp", (mark) => (mark.style.background = heatGradient()), `similarity ${view.range.map((one) => one.toFixed(2)).join(" to ")}`));
  } else {
    state.map.traverses.slice(0, MOST_TRAVERSES).forEach((name, number) => {
      rows.push(entry("dot", (mark) => (mark.style.background = traverseColor(number)), name));
    });
    const more = state.map.traverses.length - MOST_TRAVERSES;
    if (more > 0) rows.push(element("span", {}, `and ${more} more traverses`));
  }
  const counts = state.counts();
  for (const verdict of state.run ? ["accepted", "refused", "wrong"] : []) {
    if (verdict === "wrong" && state.run.truth.startsWith("not judged")) continue;
    const kind = verdict === "refused" ? "dash" : "line";
    rows.push(entry(kind, (mark) => (mark.style.borderColor = colors[verdict]), `${counts[verdict]} ${verdict === "wrong" ? "accepted and wrong" : verdict}`));
  }
  byId("legend").replaceChildren(...rows);
}

function entry(kind, paint, words) {
  const mark = element("i", { class: kind });
  paint(mark);
  return element("span", {}, mark, words);
}
