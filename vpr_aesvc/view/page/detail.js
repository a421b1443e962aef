// The panel of the selected frame or place.

import { bars } from "./bars.js";
import { byId, digits, element, percent } from "./dom.js";
import { pairOfPictures } from "./pictures.js";

const MOST = 12; // frames listed at a place

export class Detail {
  constructor(state, source) {
    Object.assign(this, { state, source, panel: byId("detail"), asked: 0 });
  }

  async show() {
    const { state } = this;
    const asked = (this.asked += 1);
    try {
      const parts = await this.parts();
      if (asked === this.asked) this.panel.replaceChildren(...parts.filter((part) => part !== null));
    } catch (error) {
      if (asked === this.asked) this.panel.replaceChildren(element("p", {}, `This cannot be shown: ${error.message}`));
    }
    if (asked === this.asked) this.panel.dataset.shown = `${state.frame} ${state.place}`;
  }

  async parts() {
    const { state, source } = this;
    if (state.cell) return this.cellParts(state.cell);
    if (state.place !== null) return this.placeParts(state.map, state.place);
    if (state.frame !== null && state.run) return this.frameParts(await source.frame(state.runNumber, state.frame));
    const what = state.run ? "Click a frame or a place on the map, or drag along the time line." : "Click a place on the map.";
    return [element("h2", {}, "Nothing selected"), element("p", { class: "quiet" }, what)];
  }

  frameParts(frame) {
    const { state, source } = this;
    const { run, frame: at, runNumber } = state;
    const chosen = frame.candidates[state.rival] ?? null;
    const left = { source: source.framePicture(runNumber, at), caption: `frame ${run.label[at]}`, alt: `Frame ${run.label[at]}` };
    return [
      element("h2", {}, run.label[at]),
      element("p", { class: `verdict ${run.verdict[at]}` }, verdictWords(run, at)),
      frame.message ? element("p", {}, frame.message) : null,
      pairOfPictures(left, this.pictureOf(chosen), chosen?.points ?? []),
      chosen ? element("p", { class: "quiet" }, pointWords(chosen)) : null,
      element("h3", {}, "Why"),
      element("p", {}, frame.why),
      bars(frame),
      frame.candidates.length > 1 ? element("h3", {}, "Candidates") : null,
      frame.candidates.length > 1 ? this.candidates(frame) : null,
    ];
  }

  cellParts({ cosine, sides }) {
    const links = sides.map(({ go, caption }) => {
      const onclick = () => this.state.set({ matrix: false, cell: null, ...go });
      return element("li", {}, element("button", { type: "button", class: "plain", onclick }, element("strong", {}, "Show on the map"), element("small", {}, caption)));
    });
    return [element("h2", {}, `Cosine ${cosine}`), pairOfPictures(...sides, []), element("ul", { class: "others" }, ...links)];
  }

  pictureOf(candidate) {
    if (!candidate) return { source: "", caption: "no place", alt: "" };
    const caption = `place ${candidate.id}, ${candidate.label}, ${candidate.traverse}`;
    return { source: this.source.placePicture(candidate.id), caption, alt: `Place ${candidate.label}` };
  }

  candidates(frame) {
    const rows = frame.candidates.map((one, number) => {
      const facts = [`similarity ${one.similarity.toFixed(2)}`];
      if (frame.sequence) facts.push(`sequence ${percent(one.posterior)}`);
      if (one.inliers !== undefined) facts.push(`${one.inliers} key points`);
      const picture = this.source.placePicture(one.id);
      const text = element("span", {}, element("strong", {}, one.label), element("small", {}, `${one.traverse} · ${facts.join(" · ")}`));
      const button = element(
        "button",
        { type: "button", "aria-pressed": String(number === this.state.rival), onclick: () => this.state.set({ rival: number }) },
        picture ? element("img", { src: picture, alt: "", loading: "lazy" }) : element("span"),
        text,
      );
      return element("li", {}, button);
    });
    return element("ul", { class: "others" }, ...rows);
  }

  placeParts(map, row) {
    const { state } = this;
    const [id, label] = [map.ids[row], map.label[row]];
    const picture = this.source.placePicture(id);
    const image = picture ? element("img", { class: "single", src: picture, alt: `Place ${label}` }) : null;
    image?.addEventListener("error", () => image.replaceWith(element("p", { class: "quiet" }, "No picture is stored.")));
    const facts = [`place ${id}`, map.traverses[map.traverse[row]]];
    if (!map.lines && !Number.isNaN(map.x[row])) facts.push(`x ${map.x[row]} m, y ${map.y[row]} m`);
    const here = state.shown.filter((at) => state.run.best[at] === state.place);
    return [
      element("h2", {}, label),
      element("p", { class: "quiet" }, facts.join(" · ")),
      image ?? element("p", { class: "quiet" }, "No picture of this place is here."),
      state.run ? element("h3", {}, here.length ? `${here.length} frames have their best match here` : "No frame that is shown has its best match here") : null,
      element("ul", { class: "others" }, ...here.slice(0, MOST).map((at) => this.frameLink(at))),
    ];
  }

  frameLink(at) {
    const { run } = this.state;
    const words = element("small", {}, `${run.verdict[at]}, probability ${digits(run.probability[at])}`);
    const go = () => this.state.set({ frame: at });
    return element("li", {}, element("button", { type: "button", class: "plain", onclick: go }, element("strong", {}, run.label[at]), words));
  }
}

function verdictWords(run, at) {
  const away = run.error[at] === null ? "" : ` (${run.error[at]} m away)`;
  const probability = `probability ${digits(run.probability[at])}`;
  if (run.verdict[at] === "wrong") return `Accepted, and wrong${away}; ${probability}`;
  const right = run.right[at]; // 1 or 0; null if not judged
  if (run.verdict[at] === "accepted") return `Accepted${right ? `, and right${away}` : ""}; ${probability}`;
  const would = right === null ? "" : right ? `; the best match is right${away}` : `; the best match would be wrong${away}`;
  return `Refused${would}; ${probability}`;
}

function pointWords(candidate) {
  if (candidate.inliers === undefined) return "Not verified: too few key points match to be better than the best place, or none were needed.";
  const drawn = candidate.points.length / 4;
  return `${candidate.why}${drawn && drawn < candidate.inliers ? `; ${drawn} of them are drawn` : ""}.`;
}
