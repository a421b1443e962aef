// The parts of a decision, each as a bar with its number.

import { digits, element, percent } from "./dom.js";

const LEAST_RATE = 1e-4; // left end of the bar of false-positive rates, which is logarithmic

export function bars(frame) {
  const best = frame.candidates[0];
  const rate = digits(frame.rate) + (frame.requested === null ? "" : `, at most ${digits(frame.requested)} is accepted`);
  const rows = [
    bar("Probability that it is right", digits(frame.probability), frame.probability),
    bar("False-positive rate, logarithmic", rate, logarithmic(frame.rate), frame.requested === null ? null : logarithmic(frame.requested)),
  ];
  if (best?.inliers !== undefined) {
    const known = best.matches >= best.inliers; // a node does not send the matches
    const text = known ? `${best.inliers} of ${best.matches} matches` : `${best.inliers}`;
    rows.push(bar("Key points that agree", text, known ? best.inliers / Math.max(best.matches, 1) : null));
  }
  if (best) rows.push(bar("Similarity of the descriptors", best.similarity.toFixed(2), best.similarity));
  if (frame.sequence) {
    rows.push(bar("Sequence: near this place", percent(frame.posterior), frame.posterior));
    rows.push(bar("Sequence: outside the map", percent(frame.lost), frame.lost));
  }
  return element("div", { class: "bars" }, ...rows);
}

function bar(name, text, part, limit = null) {
  const filled = element("b");
  filled.style.width = `${100 * Math.min(Math.max(part, 0), 1)}%`;
  const mark = limit === null ? null : element("i");
  if (mark) mark.style.left = `${100 * limit}%`;
  const words = element("p", {}, element("span", {}, name), element("span", {}, text));
  if (part === null) return element("div", {}, words);
  return element("div", {}, words, element("div", { class: "bar", "aria-hidden": "true" }, filled, mark));
}

function logarithmic(rate) {
  return 1 - Math.log10(Math.max(rate, LEAST_RATE)) / Math.log10(LEAST_RATE);
}
