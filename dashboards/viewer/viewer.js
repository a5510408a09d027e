// The viewer: panes that move together, or two that are swiped.

const GAP = 6;
const REPORT_AFTER = 600; // milliseconds without movement after which Python is told of the view

class Viewer {
  constructor(root) {
    this.root = root;
    this.report = () => {};
    this.trigger = () => {};
    this.toolbar = new Toolbar((part) => this.change(part), (name) => this.act(name));
    this.stage = el("div", {
      class: "stage", tabindex: 0, role: "application",
      "aria-label": "Image viewer. Arrow keys move, plus and minus zoom, question mark lists the keys.",
    });
    this.legend = el("span", { class: "legend" });
    this.values = el("span", { class: "values" });
    this.footer = el("div", { class: "footer" }, this.legend, this.values);
    this.frames = new Frames((frame) => this.chooseFrame(frame));
    this.help = el("dialog", { class: "help", "aria-label": "Keyboard" });
    this.help.append(
      el("dl", {}, ...KEYS.flatMap(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)])),
      el("button", { class: "chip", type: "button", onclick: () => this.help.close() }, "Close"));
    root.replaceChildren(this.toolbar.element, this.frames.element, this.stage, this.footer, this.help);
    new Gestures(this.stage, {
      pan: (dx, dy) => this.moveView(() => this.view.pan(dx, dy)),
      nudge: (x, y) => this.moveView(() => this.view.pan((x * this.area.width) / 10, (y * this.area.height) / 10)),
      step: (direction, at) => this.zoomBySteps(direction, at),
      zoomBy: (factor, at) => this.moveView(() => this.view.zoomTo(this.view.zoom * factor, this.area, at)),
      point: (at) => this.point(at),
      key: (key) => this.pressKey(key),
    });
    this.resized = new ResizeObserver(() => this.layout());
    this.resized.observe(root);
    this.onResize = () => this.layout();
    window.addEventListener("resize", this.onResize);
    root.addEventListener("fullscreenchange", this.onResize);
    this.boxes = [];
  }

  close() {
    this.resized.disconnect();
    window.removeEventListener("resize", this.onResize);
    this.root.removeEventListener("fullscreenchange", this.onResize);
    this.frames.close();
    cancelAnimationFrame(this.drawing);
    clearTimeout(this.reporting);
    clearTimeout(this.framing);
    if (this.tiles) this.tiles.close();
  }

  // Shows what Python asks for. Another picture opens anew; the same one keeps its place.
  show(data) {
    const first = !this.data;
    const other = first || this.data.picture !== data.picture;
    const structure = JSON.stringify([data.panes, data.layers.map((layer) => layer.label)]);
    this.data = data;
    this.layers = Object.fromEntries(data.layers.map((layer) => [layer.id, layer]));
    if (first) {
      this.tiles = new Tiles(data.tile, () => this.redraw());
      this.painter = new Painter(this.tiles, data.colors);
      this.style = { ...data.style };
      if (window.innerWidth < 640) this.style.panes = data.style.swipe; // two are enough on a phone
    }
    const known = new Set(data.panes.map((pane) => pane.id));
    if (!this.style.panes.every((id) => known.has(id))) this.style.panes = data.style.panes;
    if (!this.style.swipe.every((id) => known.has(id))) this.style.swipe = data.style.swipe;
    if (other) this.openPicture(first ? data.link : "");
    this.takeFrame(this.frames.show(data.frames || [], data.frame || 0));
    const changed = other || this.structure !== structure;
    if (this.structure !== structure) {
      this.structure = structure;
      const hasTarget = data.panes.some((pane) => pane.show === "mask" && pane.against);
      this.toolbar.build(data.panes, this.style, { hasTarget, hasGrid: Boolean(data.grid) });
    }
    this.stage.dataset.picture = data.picture;
    // A page that reruns shows the same; a divider that is being dragged must stay in hand.
    if (changed) this.arrange();
    else this.redraw();
  }

  openPicture(link) {
    const { width, height } = this.data;
    const fitted = !this.view || this.view.fitted || this.view.width !== width || this.view.height !== height;
    const before = this.view;
    this.view = new View(width, height);
    if (before && !fitted) Object.assign(this.view, { x: before.x, y: before.y, zoom: before.zoom, fitted: false });
    const kept = readLink(link, this.data.panes);
    Object.assign(this.style, kept.style);
    if (kept.view) Object.assign(this.view, kept.view, { fitted: false });
  }

  openPanes() {
    const of = (id) => this.data.panes.find((pane) => pane.id === id);
    const ids = this.style.swipe_on ? this.style.swipe : this.style.panes;
    return ids.map(of).filter(Boolean);
  }

  // One canvas for each pane, or one for both sides of the swipe.
  arrange() {
    const panes = this.openPanes();
    const groups = this.style.swipe_on ? [panes] : panes.map((pane) => [pane]);
    this.boxes = groups.map((group) => this.makeBox(group));
    this.stage.replaceChildren(...this.boxes.map(({ element }) => element));
    this.toolbar.update(this.style);
    this.showLegend(panes);
    this.layout();
  }

  makeBox(group) {
    const canvas = el("canvas", { role: "img", "aria-label": group.map((pane) => this.title(pane)).join(", beside ") });
    const labels = group.map((pane, i) =>
      el("figcaption", { class: i ? "right" : "" }, el("b", {}, pane.label), pane.note ? ` ${pane.note}` : ""));
    const cross = el("div", { class: "cross", hidden: true });
    const bar = el("div", { class: "bar" }, el("i"), el("span"));
    const element = el("figure", {}, canvas, ...labels, cross, bar);
    const divider = group.length > 1 ? this.makeDivider() : null;
    if (divider) element.append(divider);
    return { element, canvas, group, cross, bar, divider };
  }

  title(pane) {
    return pane.note ? `${pane.label}, ${pane.note}` : pane.label;
  }

  makeDivider() {
    const set = (share) => this.change({ divider: Math.min(1, Math.max(0, share)) }, false);
    const handle = el("div", {
      class: "divider", role: "slider", tabindex: 0, "aria-label": "Divider", "aria-valuemin": 0, "aria-valuemax": 100,
      onpointerdown: (event) => handle.setPointerCapture(event.pointerId),
      onpointermove: (event) => {
        if (!handle.hasPointerCapture(event.pointerId)) return;
        const { left, width } = handle.parentElement.getBoundingClientRect();
        set((event.clientX - left) / width);
      },
      onkeydown: (event) => {
        const step = { ArrowLeft: -0.02, ArrowRight: 0.02, PageUp: -0.1, PageDown: 0.1 }[event.key];
        if (!step) return;
        event.preventDefault();
        set(this.style.divider + step);
      },
    });
    return handle;
  }

  layout() {
    if (!this.data || !this.boxes.length) return;
    const ratio = window.devicePixelRatio || 1;
    const shape = this.view.width / this.view.height;
    const stage = { width: this.stage.clientWidth, height: this.availableHeight() };
    if (!stage.width || !stage.height) return;
    const { columns, rows } = arrange(this.boxes.length, stage, shape, GAP);
    if (!document.fullscreenElement) {
      const needed = (rows * stage.width) / columns / shape;
      stage.height = Math.round(Math.min(stage.height, Math.max(360, needed * 1.25)));
      this.stage.style.height = `${stage.height}px`;
    } else this.stage.style.height = "";
    this.stage.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    this.stage.style.gridTemplateRows = `repeat(${rows}, minmax(0, 1fr))`;
    const width = Math.max(1, Math.floor((stage.width - GAP * (columns - 1)) / columns * ratio));
    const height = Math.max(1, Math.floor((stage.height - GAP * (rows - 1)) / rows * ratio));
    this.area = { width, height };
    for (const { canvas } of this.boxes) {
      if (canvas.width !== width) canvas.width = width;
      if (canvas.height !== height) canvas.height = height;
      canvas.style.width = `${width / ratio}px`;
      canvas.style.height = `${height / ratio}px`;
    }
    if (this.view.fitted) this.view.fit(this.area);
    this.draw();
  }

  // Height for the panes: most of the window, or what full screen leaves.
  availableHeight() {
    if (document.fullscreenElement) {
      const others = [...this.root.children].filter((part) => part !== this.stage && !part.hidden);
      return window.innerHeight - 40 - others.reduce((sum, part) => sum + part.offsetHeight + 8, 0);
    }
    const share = window.innerWidth < 640 ? 0.7 : 0.64;
    return Math.min(1000, Math.max(340, window.innerHeight * share));
  }

  redraw() {
    this.stage.dataset.ready = "false";
    if (!this.drawing) this.drawing = requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.drawing);
    this.drawing = 0;
    if (!this.area) return;
    const began = this.view.scale;
    let whole = true;
    for (const box of this.boxes) whole = this.drawBox(box) && whole;
    this.frames.prefetch(this.tiles, this.view, this.area, this.layers);
    this.tiles.fetchWanted();
    this.toolbar.showScale(began);
    this.stage.dataset.ready = String(whole && !this.tiles.busy);
    if (this.pointed) this.readOut(this.pointed);
  }

  drawBox({ canvas, group, bar, divider }) {
    const { view, area, style } = this;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, area.width, area.height);
    let whole = true;
    const split = Math.round(area.width * style.divider);
    group.forEach((pane, i) => {
      context.save();
      if (group.length > 1) {
        context.beginPath();
        context.rect(i ? split : 0, 0, i ? area.width - split : split, area.height);
        context.clip();
      }
      whole = this.painter.draw(context, pane, this.layers, view, area, style) && whole;
      context.restore();
    });
    if (style.grid) {
      if (this.data.grid) this.painter.drawSeams(context, this.data.grid, view, area);
      this.painter.drawPixelGrid(context, view, area);
    }
    if (divider) {
      divider.style.left = `${style.divider * 100}%`;
      divider.setAttribute("aria-valuenow", Math.round(style.divider * 100));
    }
    const { left, top } = view.origin(area);
    Object.assign(canvas.dataset, { left, top, scale: view.scale, pane: group.map(({ id }) => id).join("|") });
    this.showBar(bar);
    return whole;
  }

  showBar(bar) {
    const ratio = window.devicePixelRatio || 1;
    const length = barLength(this.view.scale, this.area.width);
    bar.firstChild.style.width = `${(length * this.view.scale) / ratio}px`;
    bar.lastChild.textContent = `${length} px`;
  }

  showLegend(panes) {
    const { colors } = this.data;
    const swatch = (color, label) =>
      el("span", {}, el("i", { style: `background: rgb(${color})` }), label);
    const parts = [];
    const withTarget = panes.filter((pane) => pane.show === "mask" && pane.against && this.style.errors);
    if (withTarget.length) {
      parts.push(swatch(colors.truePositive, "true positive"), swatch(colors.falsePositive, "false positive"),
        swatch(colors.falseNegative, "false negative"));
    }
    if (panes.some((pane) => pane.show === "mask" && !withTarget.includes(pane))) {
      parts.push(swatch(this.style.onImage ? colors.mask : colors.truePositive, "foreground"));
    }
    for (const pane of panes.filter(({ show }) => show === "difference")) {
      const [one, two] = [this.layers[pane.of].label, this.layers[pane.against].label];
      parts.push(swatch(colors.truePositive, "both"), swatch(colors.falsePositive, `only ${one}`), swatch(colors.falseNegative, `only ${two}`));
    }
    if (panes.some((pane) => pane.show === "uncertainty")) {
      parts.push(el("span", {}, el("i", { class: "ramp" }), "certain to uncertain (p = 0.5)"));
    }
    this.legend.replaceChildren(...parts);
  }

  change(part, rearrange = true) {
    Object.assign(this.style, part);
    const only = Object.keys(part);
    if (rearrange && only.some((name) => name !== "opacity")) this.arrange();
    else this.redraw();
    this.reportSoon();
  }

  moveView(move) {
    move();
    this.redraw();
    this.reportSoon();
  }

  zoomBySteps(direction, at) {
    this.moveView(() => {
      for (let i = 0; i < Math.abs(direction); i++) this.view.step(direction, this.area, at);
    });
  }

  act(name) {
    if (name === "in" || name === "out") this.zoomBySteps(name === "in" ? 1 : -1);
    else if (name === "fit") this.moveView(() => this.view.fit(this.area));
    else if (name === "one") this.moveView(() => this.view.zoomTo(1, this.area));
    else if (name === "help") this.help.open ? this.help.close() : this.help.showModal();
    else if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.().catch(() => {});
  }

  pressKey(key) {
    const flip = (part) => this.change({ [part]: !this.style[part] });
    const fade = (by) => (this.style.swipe_on
      ? this.change({ divider: Math.min(1, Math.max(0, this.style.divider + by / 2)) }, false)
      : (this.change({ opacity: Math.min(1, Math.max(0, Math.round((this.style.opacity + by) * 20) / 20)) }), this.toolbar.update(this.style)));
    const actions = {
      "+": () => this.act("in"), "=": () => this.act("in"), "-": () => this.act("out"), "_": () => this.act("out"),
      0: () => this.act("fit"), 1: () => this.act("one"), f: () => this.act("full"), "?": () => this.act("help"),
      s: () => flip("swipe_on"), m: () => flip("onImage"), e: () => flip("errors"), l: () => flip("outline"),
      g: () => flip("grid"), "[": () => fade(-0.1), "]": () => fade(0.1),
      n: () => this.trigger("step", 1), p: () => this.trigger("step", -1),
      ",": () => this.frames.go(-1), ".": () => this.frames.go(1),
    };
    const action = actions[key.length === 1 ? key.toLowerCase() : key];
    if (action) action();
    return Boolean(action);
  }

  // Shows the layers of a frame; without one they stay as they are.
  takeFrame(frame) {
    if (!frame) return;
    for (const [id, url] of Object.entries(frame.urls)) {
      if (this.layers[id]) this.layers[id] = { ...this.layers[id], url };
    }
    for (const pane of this.data.panes) {
      if (frame.notes && pane.id in frame.notes) pane.note = frame.notes[pane.id];
    }
  }

  // Python is told of the frames that the visitor chose, not of those it chose itself.
  chooseFrame(frame) {
    this.takeFrame(frame);
    this.arrange();
    clearTimeout(this.framing);
    this.framing = setTimeout(() => this.report("frame", frame.value), REPORT_AFTER);
  }

  // Marks the pointed place in every pane, and reads its pixels out.
  point(at) {
    this.pointed = at;
    for (const { cross } of this.boxes) {
      cross.hidden = !at;
      if (at) cross.style.transform = `translate(${at.x / at.ratio}px, ${at.y / at.ratio}px)`;
    }
    if (at) this.readOut(at);
    else this.values.textContent = "";
  }

  readOut(at) {
    const place = this.view.toImage(at, this.area);
    const [x, y] = [Math.floor(place.x), Math.floor(place.y)];
    if (x < 0 || y < 0 || x >= this.view.width || y >= this.view.height) {
      this.values.textContent = "";
      return;
    }
    const parts = Object.values(this.layers).map((layer) => this.valueAt(layer, x, y)).filter(Boolean);
    this.values.textContent = [`x ${x}  y ${y}`, ...parts].join("   ");
  }

  valueAt(layer, x, y) {
    const { side } = this.tiles;
    const place = { level: 0, column: Math.floor(x / side), row: Math.floor(y / side) };
    const tile = this.tiles.peek(layer, place);
    if (!tile) return "";
    const [column, row] = [x % side, y % side];
    if (tile.bitmap) {
      const { scratch } = this.tiles;
      scratch.canvas.width = scratch.canvas.height = 1;
      scratch.drawImage(tile.bitmap, column, row, 1, 1, 0, 0, 1, 1);
      return `${layer.label} ${[...scratch.getImageData(0, 0, 1, 1).data].slice(0, 3).join(" ")}`;
    }
    const value = tile.probability[(row + tile.apron) * tile.width + column + tile.apron] / 255;
    return `${layer.label} ${layer.binary ? Math.round(value) : value.toFixed(2)}`;
  }

  reportSoon() {
    clearTimeout(this.reporting);
    this.reporting = setTimeout(() => this.report("link", writeLink(this.view, this.style)), REPORT_AFTER);
  }
}

const viewers = new WeakMap();

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  let viewer = viewers.get(parentElement);
  if (!viewer) {
    viewer = new Viewer(parentElement.querySelector(".viewer"));
    viewers.set(parentElement, viewer);
  }
  viewer.report = setStateValue;
  viewer.trigger = setTriggerValue;
  viewer.show(data);
  return () => {
    viewer.close();
    viewers.delete(parentElement);
  };
}
