// Two pictures side by side, and lines between the key points that agree.

import { theme } from "./colors.js";
import { element, sized } from "./dom.js";

/**
 * The frame on the left, a place on the right.
 * `points`: x and y in the frame, then in the place, in thousandths of the longest side of each picture.
 */
export function pairOfPictures(left, right, points) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const figures = [left, right].map(figureOf);
  const pair = element("div", { class: "pair" }, ...figures, canvas);
  const images = [...pair.querySelectorAll("img")];
  const draw = () => {
    if (images.length === 2 && images.every((image) => image.naturalWidth)) drawPoints(canvas, images, points);
  };
  for (const image of images) image.addEventListener("load", draw);
  new ResizeObserver(draw).observe(pair);
  return pair;
}

function figureOf({ source, caption, alt }) {
  const picture = source ? element("img", { src: source, alt }) : element("p", { class: "quiet" }, "no picture is stored");
  return element("figure", {}, picture, element("figcaption", {}, caption));
}

function drawPoints(canvas, images, points) {
  const { context } = sized(canvas);
  const color = theme().points;
  const [left, right] = images.map((image) => {
    const scale = (Math.max(image.naturalWidth, image.naturalHeight) / 1000) * (image.clientWidth / image.naturalWidth);
    const figure = image.parentElement;
    return (x, y) => [figure.offsetLeft + x * scale, figure.offsetTop + y * scale];
  });
  context.lineWidth = 1;
  for (let at = 0; at + 3 < points.length; at += 4) {
    const [x, y] = left(points[at], points[at + 1]);
    const [u, v] = right(points[at + 2], points[at + 3]);
    context.globalAlpha = 0.5;
    context.strokeStyle = color;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(u, v);
    context.stroke();
    context.globalAlpha = 1;
    for (const [dotX, dotY] of [[x, y], [u, v]]) {
      context.beginPath();
      context.arc(dotX, dotY, 2.5, 0, 2 * Math.PI);
      context.fillStyle = color;
      context.fill();
      context.strokeStyle = "#0008";
      context.stroke();
    }
  }
}
