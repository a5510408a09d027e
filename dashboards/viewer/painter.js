// Draws one pane: image, mask over it, outline, seams. Painted tiles are kept, so that moving,
// and changing the opacity, only copies them.

const MOST_PAINTED = 220;
const LINES_FROM = 3; // scale from which outlines are lines between pixels
const GRID_FROM = 16; // scale from which the pixel grid shows

class Painter {
  constructor(tiles, colors) {
    this.tiles = tiles;
    this.colors = colors;
    this.painted = new Map();
  }

  remember(key, make) {
    let made = this.painted.get(key);
    if (made) this.painted.delete(key);
    else made = make();
    this.painted.set(key, made);
    if (this.painted.size > MOST_PAINTED) this.painted.delete(this.painted.keys().next().value);
    return made;
  }

  canvas(key, paint) {
    return this.remember(key, () => {
      const picture = paint();
      const canvas = document.createElement("canvas");
      canvas.width = picture.width;
      canvas.height = picture.height;
      canvas.getContext("2d").putImageData(picture, 0, 0);
      return canvas;
    });
  }

  // Draws a pane into a rectangle of a canvas; true when nothing was missing.
  draw(context, pane, layers, view, area, style) {
    const { tiles } = this;
    const smooth = view.scale < 1;
    context.imageSmoothingEnabled = smooth;
    context.imageSmoothingQuality = "medium";
    const corner = view.rectangle({ level: 31, column: 0, row: 0 }, tiles.side, area);
    context.fillStyle = "#000";
    context.fillRect(corner.x, corner.y, corner.width, corner.height);
    let whole = true;
    const onImage = pane.show === "image" || style.onImage;
    const own = pane.show === "image" ? layers[pane.of] : null;
    const base = own ?? layers.image;
    if (onImage && base) {
      whole = this.drawTiles(context, [base], view, area, (place) => {
        const tile = tiles.peek(base, place);
        return tile && { source: tile.bitmap, width: tile.width, height: tile.height };
      });
    }
    if (pane.show === "image") return whole;
    const needs = this.layersOf(pane, layers, style);
    if (!needs.length) return whole;
    context.globalAlpha = onImage ? style.opacity : 1;
    whole = this.drawTiles(context, needs, view, area, (place) => this.paintTile(pane, needs, place, onImage, style)) && whole;
    context.globalAlpha = 1;
    if (style.outline && onImage && pane.show === "mask") {
      this.drawOutline(context, needs[0], view, area, this.edgeColor(needs));
    }
    return whole;
  }

  layersOf(pane, layers, style) {
    const own = layers[pane.of];
    const other = layers[pane.against];
    if (!own) return [];
    if (pane.show === "difference") return other ? [own, other] : [];
    return pane.show === "mask" && other && style.errors ? [own, other] : [own];
  }

  // Draws every visible tile, from the level that fits or the nearest coarser one that is loaded.
  drawTiles(context, layers, view, area, picture) {
    const { tiles } = this;
    const { levels } = layers[0];
    let whole = true;
    for (const place of view.tiles(view.level(levels), tiles.side, area)) {
      let there = true;
      for (const layer of layers) {
        if (!tiles.get(layer, place, place.far)) there = false;
        const top = { level: levels - 1, column: 0, row: 0 };
        if (!there) tiles.get(layer, top, -1);
      }
      const target = view.rectangle(place, tiles.side, area);
      const exact = there && picture(place);
      if (exact) {
        const { source, width, height } = exact;
        context.drawImage(source, 0, 0, width, height, target.x, target.y, target.width, target.height);
      } else {
        whole = false;
        this.drawCoarser(context, place, layers, levels, target, picture);
      }
    }
    return whole;
  }

  drawCoarser(context, place, layers, levels, target, picture) {
    const { tiles } = this;
    for (let up = 1; place.level + up < levels; up++) {
      const parent = { level: place.level + up, column: place.column >> up, row: place.row >> up };
      if (!layers.every((layer) => tiles.peek(layer, parent))) continue;
      const { source, width, height } = picture(parent);
      const side = tiles.side / 2 ** up;
      const x = (place.column & (2 ** up - 1)) * side;
      const y = (place.row & (2 ** up - 1)) * side;
      const [w, h] = [Math.min(side, width - x), Math.min(side, height - y)];
      if (w > 0 && h > 0) {
        context.drawImage(source, x, y, w, h, target.x, target.y, target.width, target.height);
      }
      return;
    }
  }

  paintTile(pane, layers, place, onImage, style) {
    const found = layers.map((layer) => this.tiles.peek(layer, place));
    if (!found.every(Boolean)) return null;
    const { colors } = this;
    const kind = `${pane.show}${onImage}${layers.length}`;
    const key = [kind, ...layers.map((layer) => Tiles.key(layer, place))].join("|");
    const canvas = this.canvas(key, () => {
      if (pane.show === "uncertainty") return paintUncertainty(found[0], !onImage);
      if (layers.length === 1) return paintMask(found[0], onImage ? colors.mask : colors.truePositive);
      return paintPair(found[0], found[1], [colors.truePositive, colors.falsePositive, colors.falseNegative]);
    });
    return { source: canvas, width: canvas.width, height: canvas.height };
  }

  edgeColor(needs) {
    return needs.length > 1 ? this.colors.truePositive : this.colors.mask;
  }

  drawOutline(context, layer, view, area, color) {
    if (view.scale < LINES_FROM) {
      this.drawTiles(context, [layer], view, area, (place) => {
        const tile = this.tiles.peek(layer, place);
        const canvas = tile && this.canvas(`edge${color}|${Tiles.key(layer, place)}`, () =>
          paintEdge(tile, color, place.level > 0));
        return canvas && { source: canvas, width: canvas.width, height: canvas.height };
      });
      return;
    }
    context.save();
    context.strokeStyle = `rgb(${color})`;
    context.lineCap = "square";
    for (const place of view.tiles(0, this.tiles.side, area)) {
      const tile = this.tiles.peek(layer, place);
      if (!tile) continue;
      const path = this.remember(`path|${Tiles.key(layer, place)}`, () => traceEdge(tile));
      const target = view.rectangle(place, this.tiles.side, area);
      context.setTransform(view.scale, 0, 0, view.scale, target.x, target.y);
      context.lineWidth = (2 * (window.devicePixelRatio || 1)) / view.scale;
      context.stroke(path);
    }
    context.restore();
  }

  // Seams of the tiled inference: where one tile's core ends and the next begins.
  drawSeams(context, grid, view, area) {
    const { left, top } = view.origin(area);
    const end = { x: left + view.width * view.scale, y: top + view.height * view.scale };
    for (const [dash, color] of [[[], "rgba(0,0,0,.55)"], [[6, 6], `rgb(${this.colors.seam})`]]) {
      context.beginPath();
      context.setLineDash(dash);
      context.strokeStyle = color;
      context.lineWidth = dash.length ? 2 : 3;
      for (const row of grid.rows) {
        const y = Math.round(top + row * view.scale);
        context.moveTo(left, y);
        context.lineTo(end.x, y);
      }
      for (const column of grid.columns) {
        const x = Math.round(left + column * view.scale);
        context.moveTo(x, top);
        context.lineTo(x, end.y);
      }
      context.stroke();
    }
    context.setLineDash([]);
  }

  drawPixelGrid(context, view, area) {
    if (view.scale < GRID_FROM) return;
    const { left, top } = view.origin(area);
    context.beginPath();
    context.strokeStyle = "rgba(128,128,128,.35)";
    context.lineWidth = 1;
    const step = view.scale;
    for (let x = left % step; x < area.width; x += step) {
      context.moveTo(x + 0.5, 0);
      context.lineTo(x + 0.5, area.height);
    }
    for (let y = top % step; y < area.height; y += step) {
      context.moveTo(0, y + 0.5);
      context.lineTo(area.width, y + 0.5);
    }
    context.stroke();
  }
}
