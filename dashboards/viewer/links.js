// The view and the style as a short text for the page's address, and back.
//
//     812.5,1033,4;image.target;40meo;target|tiled;0.5
//     where and scale; panes; opacity and switches; swiped panes; place of the divider

const SWITCHES = { onImage: "m", errors: "e", outline: "l", grid: "g", swipe_on: "s" };

function writeLink(view, style) {
  const number = (value) => String(Math.round(value * 100) / 100);
  const where = view.fitted ? "fit" : [view.x, view.y].map(number).concat(String(+view.zoom.toPrecision(4))).join(",");
  const flags = Object.entries(SWITCHES).map(([part, letter]) => (style[part] ? letter : "")).join("");
  return [
    where,
    style.panes.join("."),
    Math.round(style.opacity * 100) + flags,
    style.swipe.join("."),
    number(style.divider),
  ].join(";");
}

// What a link holds; anything that it should not hold is left out.
function readLink(text, panes) {
  const [where = "", shown = "", flags = "", swipe = "", divider = ""] = String(text || "").split(";");
  const known = new Set(panes.map((pane) => pane.id));
  const style = {};
  const ids = shown.split(".").filter((id) => known.has(id));
  if (ids.length) style.panes = ids;
  const pair = swipe.split(".").filter((id) => known.has(id));
  if (pair.length === 2) style.swipe = pair;
  const set = /^(\d{1,3})([a-z]*)$/.exec(flags);
  if (set) {
    style.opacity = Math.min(100, Number(set[1])) / 100;
    for (const [part, letter] of Object.entries(SWITCHES)) style[part] = set[2].includes(letter);
  }
  const at = Number(divider);
  if (divider && at >= 0 && at <= 1) style.divider = at;
  const [x, y, zoom] = where.split(",").map(Number);
  const view = [x, y, zoom].every(Number.isFinite) && zoom > 0 ? { x, y, zoom } : null;
  return { style, view };
}
