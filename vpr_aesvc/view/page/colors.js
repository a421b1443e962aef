// Colors of the page in the light or dark scheme, for canvases.

const TRAVERSES = ["#4e9a8f", "#9c7bb0", "#a08a4f", "#6d8fb5", "#b0786a", "#7f9a55", "#8b8fa3", "#b5838d"];
// Dark blue over green to yellow (after viridis, Smith and van der Walt 2015): more is lighter, also without color vision.
const HEAT = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
export const VERDICTS = ["accepted", "refused", "wrong"];

export function theme() {
  const style = getComputedStyle(document.documentElement);
  const names = ["page", "ink", "quiet", "rule", "points", ...VERDICTS];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

export function onSchemeChange(call) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", call);
}

export function traverseColor(number) {
  return TRAVERSES[number % TRAVERSES.length];
}

/** "#rrggbb" -> a pixel of an ImageData, as one little-endian number. */
export function pixel(color, alpha = 255) {
  const value = parseInt(color.slice(1), 16);
  return ((alpha << 24) | ((value & 255) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

/** 0 to 1 -> [red, green, blue]. */
export function heatColor(part) {
  const at = Math.min(Math.max(part, 0), 1) * (HEAT.length - 1);
  const low = Math.min(Math.floor(at), HEAT.length - 2);
  return HEAT[low].map((one, channel) => Math.round(one + (at - low) * (HEAT[low + 1][channel] - one)));
}

export const HEAT_PIXELS = Uint32Array.from({ length: 256 }, (_, at) => {
  const [red, green, blue] = heatColor(at / 255);
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
});

export function heatGradient() {
  return `linear-gradient(to right, ${HEAT.map((one) => `rgb(${one.join(",")})`).join(", ")})`;
}
