// Mouse, touch and keys: they move the view and switch the style.

const KEYS = [
  ["arrows", "move (with Shift: far)"],
  ["+  −", "zoom in, out"],
  ["0", "fit the image"],
  ["1", "one image pixel on one screen pixel"],
  ["S", "swipe between two panes"],
  ["[  ]", "move the swipe, or fade the mask"],
  ["M", "mask alone, or over the image"],
  ["E", "errors against the target"],
  ["L", "outline"],
  ["G", "tiles and pixel grid"],
  ["N  P", "next, previous image"],
  [",  .", "previous, next epoch"],
  ["F", "full screen"],
  ["?", "these keys"],
];

class Gestures {
  // actions: pan, step, zoomBy, point, key
  constructor(stage, actions) {
    this.stage = stage;
    this.actions = actions;
    this.pointers = new Map();
    this.held = null; // the canvas where the gesture began; all pointers are measured on it
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    stage.addEventListener("pointerleave", () => actions.point(null));
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("dblclick", (event) => {
      if (event.target.closest("canvas")) actions.step(event.shiftKey ? -2 : 2, this.positionOf(event));
    });
    stage.addEventListener("keydown", (event) => this.pressKey(event));
  }

  // Position in device pixels within a pane, by default the one that the event is over.
  positionOf(event, canvas = this.paneAt(event)) {
    const box = canvas.getBoundingClientRect();
    const ratio = canvas.width / box.width;
    return { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio, ratio };
  }

  paneAt(event) {
    const panes = [...this.stage.querySelectorAll("canvas")];
    const inside = ({ left, right, top, bottom }) =>
      event.clientX >= left && event.clientX < right && event.clientY >= top && event.clientY < bottom;
    return panes.find((pane) => inside(pane.getBoundingClientRect())) || panes[0];
  }

  down(event) {
    if (event.button > 0 || event.target.closest("button, select, input, [role=slider]")) return;
    this.stage.focus({ preventScroll: true });
    this.stage.setPointerCapture(event.pointerId);
    if (!this.pointers.size || !this.held.isConnected) this.hold(event);
    this.pointers.set(event.pointerId, this.positionOf(event, this.held));
  }

  hold(event) {
    this.held = this.paneAt(event);
    this.pointers.clear();
  }

  move(event) {
    this.actions.point(event.pointerType === "touch" ? null : this.positionOf(event));
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (!this.held.isConnected) { // panes were arranged anew meanwhile
      this.hold(event);
      this.pointers.set(event.pointerId, this.positionOf(event, this.held));
      return;
    }
    const now = this.positionOf(event, this.held);
    const others = [...this.pointers.entries()].filter(([id]) => id !== event.pointerId);
    this.pointers.set(event.pointerId, now);
    if (!others.length) {
      this.actions.pan(now.x - before.x, now.y - before.y);
      return;
    }
    const fixed = others[0][1];
    const apart = (a) => Math.hypot(a.x - fixed.x, a.y - fixed.y) || 1;
    this.actions.zoomBy(apart(now) / apart(before), { x: (now.x + fixed.x) / 2, y: (now.y + fixed.y) / 2 });
    this.actions.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  wheel(event) {
    event.preventDefault();
    this.turned = (this.turned || 0) + event.deltaY * (event.deltaMode ? 30 : 1);
    const notch = event.ctrlKey ? 12 : 60;
    while (Math.abs(this.turned) >= notch) {
      const direction = this.turned > 0 ? -1 : 1;
      this.turned += direction * notch;
      this.actions.step(direction, this.positionOf(event));
    }
  }

  pressKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("select, input, [role=slider]")) return;
    const far = event.shiftKey ? 5 : 1;
    const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const move = moves[event.key];
    if (move) this.actions.nudge(move[0] * far, move[1] * far);
    else if (!this.actions.key(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }
}
