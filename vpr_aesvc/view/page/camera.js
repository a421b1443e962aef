// What part of the plane is seen: meters east and north to pixels right and down.

export class Camera {
  constructor() {
    Object.assign(this, { x: 0, y: 0, scale: 1, width: 1, height: 1, smallest: 1e-6 });
  }

  /** Shows [left, bottom, right, top] with a margin. */
  fit([left, bottom, right, top]) {
    const margin = 0.86;
    const [wide, high] = [Math.max(right - left, 1e-3), Math.max(top - bottom, 1e-3)];
    this.scale = Math.min((margin * this.width) / wide, (margin * this.height) / high, 200);
    this.smallest = this.scale / 10;
    this.x = (left + right) / 2;
    this.y = (bottom + top) / 2;
  }

  toScreen(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, (this.y - y) * this.scale + this.height / 2];
  }

  /** Keeps the point under the pointer where it is. */
  zoom(factor, right = this.width / 2, down = this.height / 2) {
    const before = this.scale;
    this.scale = Math.min(Math.max(this.scale * factor, this.smallest), 2000);
    const change = 1 / before - 1 / this.scale;
    this.x += (right - this.width / 2) * change;
    this.y -= (down - this.height / 2) * change;
  }

  pan(right, down) {
    this.x -= right / this.scale;
    this.y += down / this.scale;
  }

  /** Moves so that a point is seen, if it is not. */
  show(x, y) {
    const [right, down] = this.toScreen(x, y);
    const edge = 30;
    if (right < edge || down < edge || right > this.width - edge || down > this.height - edge) {
      this.x = x;
      this.y = y;
    }
  }
}
