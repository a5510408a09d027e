// A slider through the frames of a scene: the epochs of a training.

const PLAY_EVERY = 350; // milliseconds

class Frames {
  constructor(onChosen) {
    this.onChosen = onChosen;
    this.all = [];
    this.at = 0;
    this.slider = el("input", {
      type: "range", min: 0, step: 1, "aria-label": "Epoch", oninput: (event) => this.go(event.target.value - this.at),
    });
    this.label = el("output", { class: "frame" });
    const press = (name, title, act) =>
      el("button", { class: "icon", type: "button", title, "aria-label": title, onclick: act }, icon(name));
    this.player = press("play", "Play", () => this.play());
    this.element = el("div", { class: "frames", hidden: true }, press("previous", "Previous epoch (,)", () => this.go(-1)),
      this.player, press("next", "Next epoch (.)", () => this.go(1)), this.slider, this.label);
  }

  // Returns the frame that is shown now; it stays where the same frames are given again.
  show(all, at) {
    const same = JSON.stringify(all) === JSON.stringify(this.all);
    this.all = all;
    this.element.hidden = all.length < 2;
    this.slider.max = Math.max(0, all.length - 1);
    if (!same) this.at = Math.min(at, Math.max(0, all.length - 1));
    this.update();
    return all[this.at];
  }

  go(by) {
    const next = Math.min(this.all.length - 1, Math.max(0, this.at + by));
    if (next === this.at || !this.all.length) return;
    this.at = next;
    this.update();
    this.onChosen(this.all[next]);
  }

  update() {
    this.slider.value = this.at;
    const text = this.all[this.at] ? this.all[this.at].label : "";
    this.label.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
  }

  play() {
    if (this.playing) return this.stop();
    if (this.at === this.all.length - 1) this.go(-this.at);
    this.player.replaceChildren(icon("pause"));
    this.playing = setInterval(() => (this.at < this.all.length - 1 ? this.go(1) : this.stop()), PLAY_EVERY);
    return undefined;
  }

  stop() {
    clearInterval(this.playing);
    this.playing = 0;
    this.player.replaceChildren(icon("play"));
  }

  close() {
    this.stop();
  }

  // The neighbors of the shown frame, after everything that is visible.
  prefetch(tiles, view, area, layers) {
    for (const by of [1, -1, 2]) {
      const frame = this.all[this.at + by];
      for (const [id, url] of Object.entries(frame ? frame.urls : {})) {
        const layer = layers[id] && { ...layers[id], url };
        if (!layer) continue;
        for (const place of view.tiles(view.level(layer.levels), tiles.side, area)) {
          tiles.get(layer, place, AHEAD + place.far);
        }
      }
    }
  }
}
