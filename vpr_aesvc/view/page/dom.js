// Elements with text. Names of places, traverses and files come from strangers: they are only ever set as text.

/** An element; children are elements or text, null is left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else if (value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}

/** 0.9312 -> "0.93"; small numbers keep two digits. */
export function digits(value) {
  if (value === 0) return "0";
  return Math.abs(value) >= 0.1 ? value.toFixed(2) : Number(value.toPrecision(2)).toString();
}

export function percent(value) {
  return `${Math.round(100 * value)} %`;
}

/** Sizes a canvas to its place on the page; the context draws in CSS pixels. */
export function sized(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height, ratio };
}

/** Calls a function once before the next frame is shown, however often it is asked. */
export function coalesced(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
}
