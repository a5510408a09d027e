// Tiles: fetched, decoded once, and dropped when they take too much memory.

const MOST_BYTES = 320 * 2 ** 20;
const MOST_REQUESTS = 6;
const AHEAD = 1e12; // urgency from which a tile is only prefetched

class Tiles {
  constructor(side, onChange) {
    this.side = side;
    this.onChange = onChange;
    this.kept = new Map(); // insertion order is order of use
    this.bytes = 0;
    this.running = new Map();
    this.wanted = [];
    this.failed = new Map();
    this.scratch = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  }

  static key(layer, { level, column, row }) {
    return `${layer.url}/${level}/${column}/${row}`;
  }

  // A decoded tile; null while it is missing, and then it is fetched after this frame.
  get(layer, place, urgency = 0) {
    const key = Tiles.key(layer, place);
    const tile = this.kept.get(key);
    if (tile) {
      this.kept.delete(key);
      this.kept.set(key, tile);
      return tile;
    }
    if (!this.running.has(key) && !(this.failed.get(key) > Date.now())) {
      this.wanted.push({ key, layer, place, urgency });
    }
    return null;
  }

  peek(layer, place) {
    return this.kept.get(Tiles.key(layer, place)) || null;
  }

  // Called after a frame is drawn: what it lacked is fetched, the most urgent first; what an
  // earlier frame wanted and this one does not is not fetched any more. What is only looked ahead
  // for waits until everything visible is there: a picture's first tile costs its whole decoding.
  fetchWanted() {
    this.wanted.sort((a, b) => a.urgency - b.urgency);
    while (this.running.size < MOST_REQUESTS && this.wanted.length) {
      const next = this.wanted.shift();
      if (next.urgency >= AHEAD && this.busy) break;
      if (!this.running.has(next.key) && !this.kept.has(next.key)) this.fetch(next);
    }
    this.wanted.length = 0;
  }

  // Whether a visible tile is being fetched.
  get busy() {
    return [...this.running.values()].some(({ urgency }) => urgency < AHEAD);
  }

  async fetch({ key, layer, place, urgency }) {
    const stop = new AbortController();
    this.running.set(key, { stop, urgency });
    try {
      const answer = await fetch(key, { signal: stop.signal });
      if (!answer.ok) throw new Error(`${answer.status}`);
      const tile = await this.decode(layer, place, await answer.blob());
      this.keep(key, tile);
    } catch (error) {
      if (!stop.signal.aborted) this.failed.set(key, Date.now() + 10000);
    }
    this.running.delete(key);
    this.onChange();
  }

  async decode(layer, place, blob) {
    const bitmap = await createImageBitmap(blob, {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
    const { width, height } = bitmap;
    if (layer.kind === "image") return { bitmap, width, height, bytes: width * height * 4 };
    const { canvas } = this.scratch;
    canvas.width = width;
    canvas.height = height;
    this.scratch.drawImage(bitmap, 0, 0);
    bitmap.close();
    return splitChannels(this.scratch.getImageData(0, 0, width, height), place.level, layer.apron);
  }

  keep(key, tile) {
    this.kept.set(key, tile);
    this.bytes += tile.bytes;
    for (const [old, { bytes, bitmap }] of this.kept) {
      if (this.bytes <= MOST_BYTES) break;
      this.kept.delete(old);
      this.bytes -= bytes;
      if (bitmap) bitmap.close();
    }
  }

  close() {
    this.onChange = () => {}; // what is stopped now is not to be asked for again
    for (const { stop } of this.running.values()) stop.abort();
    for (const { bitmap } of this.kept.values()) if (bitmap) bitmap.close();
    this.kept.clear();
  }
}

// What a mask's tile holds for each pixel, as bytes: probability, covered fraction, uncertainty.
// At full size a file has the probability alone, and a pixel is foreground from 128 on: the
// threshold of evaluation. Smaller levels come with all three, averaged over their pixels.
function splitChannels(pixels, level, apron) {
  const { data, width, height } = pixels;
  const size = width * height;
  const probability = new Uint8Array(size);
  const cover = new Uint8Array(size);
  const uncertainty = new Uint8Array(size);
  for (let i = 0, at = 0; i < size; i++, at += 4) {
    const value = data[at];
    probability[i] = value;
    cover[i] = level ? data[at + 1] : value >= 128 ? 255 : 0;
    uncertainty[i] = level ? data[at + 2] : 255 - Math.abs(2 * value - 255);
  }
  return { probability, cover, uncertainty, width, height, apron, bytes: size * 3 };
}
