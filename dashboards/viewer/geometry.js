// Where the image lies on the screen. Pure numbers: no canvas, no events.
//
// Lengths on the screen are device pixels, so that "1:1" means one image pixel on one pixel of
// the display. From 1:1 upwards the scale is a whole number: every image pixel is a square of
// the same size, and nothing is interpolated.

const MAX_SCALE = 64;
const MARGIN = 0.94;

class View {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.x = width / 2;
    this.y = height / 2;
    this.zoom = 1;
    this.fitted = true; // follows the pane's size until the user zooms
  }

  get scale() {
    if (this.zoom < 1) return this.zoom;
    return Math.min(MAX_SCALE, Math.round(this.zoom));
  }

  fit(pane) {
    this.zoom = Math.min(pane.width / this.width, pane.height / this.height) * MARGIN;
    if (this.zoom >= 1) this.zoom = Math.max(1, Math.floor(this.zoom));
    this.x = this.width / 2;
    this.y = this.height / 2;
    this.fitted = true;
  }

  smallest(pane) {
    return Math.min(1, Math.min(pane.width / this.width, pane.height / this.height) / 2);
  }

  // The image point under a screen point stays under it.
  zoomTo(zoom, pane, at = { x: pane.width / 2, y: pane.height / 2 }) {
    const before = this.toImage(at, pane);
    this.zoom = Math.min(MAX_SCALE, Math.max(this.smallest(pane), zoom));
    this.fitted = false;
    this.x = before.x - (at.x - pane.width / 2) / this.scale;
    this.y = before.y - (at.y - pane.height / 2) / this.scale;
    this.clamp();
  }

  // One notch in or out; above 1:1 a notch always reaches the next whole scale.
  step(direction, pane, at) {
    let zoom = this.zoom * (direction > 0 ? 1.25 : 0.8);
    if (this.scale >= 1) {
      const scale = this.scale;
      zoom = direction > 0 ? Math.max(zoom, scale + 1) : Math.min(zoom, scale > 1 ? scale - 1 : 0.8);
    } else if (this.zoom < 1 && zoom > 1) {
      zoom = 1;
    }
    this.zoomTo(zoom, pane, at);
  }

  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.fitted = false;
    this.clamp();
  }

  clamp() {
    this.x = Math.min(this.width, Math.max(0, this.x));
    this.y = Math.min(this.height, Math.max(0, this.y));
  }

  // Screen position of the image's corner, in whole device pixels.
  origin(pane) {
    return {
      left: Math.round(pane.width / 2 - this.x * this.scale),
      top: Math.round(pane.height / 2 - this.y * this.scale),
    };
  }

  toImage(at, pane) {
    const { left, top } = this.origin(pane);
    return { x: (at.x - left) / this.scale, y: (at.y - top) / this.scale };
  }

  // The level whose pixels are the largest that are not larger than a screen pixel.
  level(levels) {
    if (this.scale >= 1) return 0;
    return Math.min(levels - 1, Math.floor(Math.log2(1 / this.scale) + 1e-9));
  }

  // Tiles of a level that the pane shows, those nearest to its middle first.
  tiles(level, side, pane) {
    const { left, top } = this.origin(pane);
    const step = side * 2 ** level * this.scale;
    const columns = Math.ceil(this.width / 2 ** level / side);
    const rows = Math.ceil(this.height / 2 ** level / side);
    const found = [];
    const [first, last] = [Math.max(0, Math.floor(-left / step)), Math.floor((pane.width - left) / step)];
    const [high, low] = [Math.max(0, Math.floor(-top / step)), Math.floor((pane.height - top) / step)];
    for (let row = high; row <= Math.min(low, rows - 1); row++) {
      for (let column = first; column <= Math.min(last, columns - 1); column++) {
        const dx = left + (column + 0.5) * step - pane.width / 2;
        const dy = top + (row + 0.5) * step - pane.height / 2;
        found.push({ level, column, row, far: dx * dx + dy * dy });
      }
    }
    return found.sort((a, b) => a.far - b.far);
  }

  // Screen rectangle of a tile; neighbors share their edges to the pixel.
  rectangle({ level, column, row }, side, pane) {
    const { left, top } = this.origin(pane);
    const size = side * 2 ** level;
    const edge = (start, at, most) => Math.round(start + Math.min(at, most) * this.scale);
    const x = edge(left, column * size, this.width);
    const y = edge(top, row * size, this.height);
    return {
      x,
      y,
      width: edge(left, (column + 1) * size, this.width) - x,
      height: edge(top, (row + 1) * size, this.height) - y,
    };
  }
}

// Columns and rows that give n panes of a picture's shape the most room.
function arrange(n, stage, ratio, gap) {
  let best = { columns: 1, rows: n, area: 0 };
  for (let columns = 1; columns <= n; columns++) {
    const rows = Math.ceil(n / columns);
    const width = (stage.width - gap * (columns - 1)) / columns;
    const height = (stage.height - gap * (rows - 1)) / rows;
    const shown = Math.min(width, height * ratio);
    const area = shown * (shown / ratio);
    if (area > best.area * 1.02) best = { columns, rows, area };
  }
  return best;
}

// A round length in image pixels that takes about a fifth of the pane.
function barLength(scale, width) {
  const wanted = (width / 5) / scale;
  const power = 10 ** Math.floor(Math.log10(Math.max(wanted, 1)));
  const round = [5, 2, 1].find((step) => step * power <= wanted) || 1;
  return Math.max(1, round * power);
}
