// Painting the mask of one tile, over the image or instead of it.

// Inferno (Smith & van der Walt, 2015), nine stops.
const INFERNO = [
  [0, 0, 4], [31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85],
  [227, 89, 51], [249, 140, 10], [249, 201, 50], [252, 255, 164],
];

const UNCERTAINTY = Array.from({ length: 256 }, (_, value) => {
  const at = (value / 255) * (INFERNO.length - 1);
  const low = Math.min(Math.floor(at), INFERNO.length - 2);
  return INFERNO[low].map((part, i) => Math.round(part + (INFERNO[low + 1][i] - part) * (at - low)));
});

function blankPicture(tile) {
  const side = 2 * tile.apron;
  return new ImageData(tile.width - side, tile.height - side);
}

// Calls paint(index in the tile, index in the picture) for every pixel inside the apron.
function forEachPixel(tile, picture, paint) {
  for (let row = 0; row < picture.height; row++) {
    let from = (row + tile.apron) * tile.width + tile.apron;
    let to = row * picture.width * 4;
    for (let column = 0; column < picture.width; column++, from++, to += 4) paint(from, to);
  }
}

function paintMask(tile, [red, green, blue]) {
  const picture = blankPicture(tile);
  const { data } = picture;
  forEachPixel(tile, picture, (from, to) => {
    data[to] = red;
    data[to + 1] = green;
    data[to + 2] = blue;
    data[to + 3] = tile.cover[from];
  });
  return picture;
}

// Three colors: both masks, only the first, only the second. At full size this is exact; of a
// pixel that stands for many, the largest possible overlap is assumed.
function paintPair(first, second, colors) {
  const picture = blankPicture(first);
  const { data } = picture;
  const [both, one, two] = colors;
  forEachPixel(first, picture, (from, to) => {
    const a = first.cover[from];
    const b = second.cover[from];
    const shared = Math.min(a, b);
    const whole = a + b - shared;
    if (!whole) return;
    for (let part = 0; part < 3; part++) {
      data[to + part] = (both[part] * shared + one[part] * (a - shared) + two[part] * (b - shared)) / whole;
    }
    data[to + 3] = Math.min(255, whole);
  });
  return picture;
}

function paintUncertainty(tile, opaque) {
  const picture = blankPicture(tile);
  const { data } = picture;
  forEachPixel(tile, picture, (from, to) => {
    const value = tile.uncertainty[from];
    [data[to], data[to + 1], data[to + 2]] = UNCERTAINTY[value];
    data[to + 3] = opaque ? 255 : Math.min(255, value * 1.5);
  });
  return picture;
}

// Pixels at the edge of the mask; of a reduced level also their outer neighbors, so that the
// line stays visible.
function paintEdge(tile, [red, green, blue], both) {
  const picture = blankPicture(tile);
  const { data } = picture;
  const { cover, width } = tile;
  forEachPixel(tile, picture, (from, to) => {
    const inside = cover[from] >= 128;
    if (!inside && !both) return;
    const other = (near) => (cover[near] >= 128) !== inside;
    if (other(from - 1) || other(from + 1) || other(from - width) || other(from + width)) {
      data[to] = red;
      data[to + 1] = green;
      data[to + 2] = blue;
      data[to + 3] = 255;
    }
  });
  return picture;
}

// The same edge as lines between pixels, in pixels of the tile: for magnified views.
function traceEdge(tile) {
  const path = new Path2D();
  const { cover, width, height, apron } = tile;
  const inside = (row, column) => cover[(row + apron) * width + column + apron] >= 128;
  const [rows, columns] = [height - 2 * apron, width - 2 * apron];
  const trace = (lines, length, differs, draw) => {
    for (let line = 0; line < lines; line++) {
      let start = -1;
      for (let at = 0; at <= length; at++) {
        const edge = at < length && differs(line, at);
        if (edge && start < 0) start = at;
        if (!edge && start >= 0) {
          draw(line, start, at);
          start = -1;
        }
      }
    }
  };
  trace(rows, columns, (row, column) => inside(row, column) !== inside(row - 1, column), (row, from, to) => {
    path.moveTo(from, row);
    path.lineTo(to, row);
  });
  trace(columns, rows, (column, row) => inside(row, column) !== inside(row, column - 1), (column, from, to) => {
    path.moveTo(column, from);
    path.lineTo(column, to);
  });
  return path;
}
