// The controls above the panes. They show the style and change it through one function.

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const ICONS = {
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  full: "M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  play: "M7 4l13 8-13 8z",
  pause: "M8 5v14M16 5v14",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

class Toolbar {
  // change(part) merges into the style; act(name) does one thing.
  constructor(change, act) {
    this.change = change;
    this.act = act;
    this.element = el("div", { class: "toolbar", role: "toolbar", "aria-label": "Viewer" });
  }

  build(panes, style, options) {
    this.panes = panes;
    const groups = [this.makePaneGroup(), this.makeMaskGroup(options), this.makeZoomGroup()];
    this.element.replaceChildren(...groups);
    this.update(style);
  }

  makePaneGroup() {
    this.chips = this.panes.map((pane) =>
      el("button", { class: "chip", type: "button", onclick: () => this.toggle(pane.id) }, pane.label));
    this.sides = ["left", "right"].map((side, i) =>
      el("select", {
        "aria-label": `${side} of the swipe`,
        onchange: (event) => {
          const swipe = [...this.style.swipe];
          swipe[i] = event.target.value;
          this.change({ swipe });
        },
      }, ...this.panes.map((pane) => el("option", { value: pane.id }, pane.label))));
    this.swipe = this.makeSwitch("Swipe", "swipe_on", "Compare two panes with a divider (S)");
    this.side = el("span", { class: "group" }, ...this.chips);
    this.pair = el("span", { class: "group" }, this.sides[0], el("span", {}, "|"), this.sides[1]);
    return el("span", { class: "group", role: "group", "aria-label": "Panes" }, this.side, this.pair, this.swipe);
  }

  makeMaskGroup({ hasTarget, hasGrid }) {
    this.over = this.makeSwitch("On image", "onImage", "Mask over the image, or alone (M)");
    this.errors = hasTarget ? this.makeSwitch("Errors", "errors", "Color errors against the target (E)") : null;
    this.outline = this.makeSwitch("Outline", "outline", "Outline of the mask (L)");
    this.grid = this.makeSwitch(hasGrid ? "Tiles" : "Grid", "grid", hasGrid
      ? "Seams of the tiles, and the pixel grid from 16:1 on (G)"
      : "Pixel grid, from 16:1 on (G)");
    this.slider = el("input", {
      type: "range", min: 0, max: 100, step: 5, "aria-label": "Opacity of the mask",
      title: "Opacity of the mask",
      oninput: (event) => this.change({ opacity: event.target.value / 100 }),
    });
    const parts = [this.over, this.errors, this.outline, this.grid, this.slider];
    return el("span", { class: "group", role: "group", "aria-label": "Mask" }, ...parts.filter(Boolean));
  }

  makeZoomGroup() {
    const press = (name, label, title, act) =>
      el("button", { class: "icon", type: "button", title, "aria-label": title, onclick: () => this.act(act) },
        name ? icon(name) : label);
    this.scale = el("output", { class: "scale", "aria-label": "Scale" });
    return el("span", { class: "group zoom", role: "group", "aria-label": "Zoom" },
      press("minus", "", "Zoom out (−)", "out"), this.scale, press("plus", "", "Zoom in (+)", "in"),
      press("fit", "", "Fit the image (0)", "fit"), press("", "1:1", "One image pixel on one screen pixel (1)", "one"),
      press("full", "", "Full screen (F)", "full"), press("", "?", "Keyboard (?)", "help"));
  }

  makeSwitch(label, part, title) {
    const press = () => this.change({ [part]: !this.style[part] });
    const button = el("button", { class: "chip", type: "button", title, onclick: press }, label);
    button.dataset.part = part;
    return button;
  }

  toggle(id) {
    const order = this.panes.map((pane) => pane.id);
    const now = new Set(this.style.panes);
    if (now.has(id)) now.delete(id);
    else now.add(id);
    if (now.size) this.change({ panes: order.filter((pane) => now.has(pane)) });
  }

  update(style) {
    this.style = style;
    this.panes.forEach((pane, i) => {
      this.chips[i].setAttribute("aria-pressed", style.panes.includes(pane.id));
    });
    for (const button of [this.swipe, this.over, this.errors, this.outline, this.grid]) {
      if (button) button.setAttribute("aria-pressed", Boolean(style[button.dataset.part]));
    }
    this.side.hidden = style.swipe_on;
    this.pair.hidden = !style.swipe_on;
    this.sides.forEach((select, i) => (select.value = style.swipe[i]));
    this.slider.value = Math.round(style.opacity * 100);
    this.slider.disabled = !style.onImage;
    this.outline.disabled = !style.onImage;
  }

  showScale(scale) {
    const text = scale >= 1 ? `${scale}:1` : `${(scale * 100).toFixed(scale < 0.1 ? 1 : 0)} %`;
    if (this.scale.textContent !== text) this.scale.textContent = text;
  }
}
