// A table of numbers and words: a heading sorts it, a row opens its image or checkpoint.

const tables = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".scores");
  if (!tables.has(box)) tables.set(box, new Scores(box));
  tables.get(box).show(data, (id) => setTriggerValue("chosen", id));
}

class Scores {
  constructor(box) {
    this.box = box;
    this.head = make("tr");
    this.body = make("tbody");
    this.rows = new Map(); // id to element; kept, so that the keyboard focus stays where it is
    box.replaceChildren(make("table", make("thead", this.head), this.body));
  }

  show(data, open) {
    this.data = data;
    this.box.setAttribute("aria-label", data.label);
    const titles = [data.heading, ...data.columns.map(({ title }) => title)];
    if (this.titles !== titles.join("\n")) {
      this.titles = titles.join("\n");
      this.order = null;
      this.head.replaceChildren(...titles.map((title, column) => this.heading(title, column)));
      data.columns.forEach(({ words }, at) => this.head.children[at + 1].classList.toggle("words", words));
    }
    const before = this.rows;
    this.rows = new Map(data.rows.map((row) => [row.id, this.row(row, before.get(row.id), open)]));
    this.arrange();
    if (this.seen !== data.chosen) this.scrollIntoView(data.chosen);
    this.seen = data.chosen;
  }

  heading(title, column) {
    const button = make("button", title);
    button.type = "button";
    button.onclick = () => this.sort(column);
    const cell = make("th", button);
    cell.scope = "col";
    return cell;
  }

  row({ id, values }, known, open) {
    const line = known || make("tr", make("th", make("button")));
    const [name, ...cells] = line.children;
    name.scope = "row";
    name.firstChild.type = "button";
    name.firstChild.textContent = name.title = id;
    cells.forEach((cell) => cell.remove());
    line.append(...values.map((value, at) => {
      const { signed, words } = this.data.columns[at];
      const cell = make("td", format(value, signed));
      cell.classList.toggle("words", words);
      return cell;
    }));
    line.setAttribute("aria-current", String(id === this.data.chosen));
    line.onclick = () => open(id);
    return line;
  }

  // A heading sorts upwards, once more downwards, and then as the page had it.
  sort(column) {
    if (this.order?.column !== column) this.order = { column, sign: 1 };
    else this.order = this.order.sign > 0 ? { column, sign: -1 } : null;
    this.arrange();
  }

  arrange() {
    const rows = [...this.data.rows];
    if (this.order) {
      const { column, sign } = this.order;
      const key = (row) => (column ? row.values[column - 1] : row.id);
      rows.sort((one, two) => compare(key(one), key(two), sign));
    }
    [...this.head.children].forEach((cell, column) => {
      if (this.order?.column !== column) cell.removeAttribute("aria-sort");
      else cell.setAttribute("aria-sort", this.order.sign > 0 ? "ascending" : "descending");
    });
    const focused = this.box.getRootNode().activeElement;
    this.body.replaceChildren(...rows.map(({ id }) => this.rows.get(id)));
    if (focused && this.body.contains(focused)) focused.focus({ preventScroll: true });
  }

  // Scrolls the table alone, not the page.
  scrollIntoView(id) {
    const line = this.rows.get(id);
    if (!line) return;
    const [outer, inner, head] = [this.box, line, this.head].map((one) => one.getBoundingClientRect());
    if (inner.top < outer.top + head.height) this.box.scrollTop -= outer.top + head.height - inner.top;
    else if (inner.bottom > outer.bottom) this.box.scrollTop += inner.bottom - outer.bottom;
  }
}

// Missing values come last in both directions.
function compare(one, two, sign) {
  if (one === null || two === null) return (one === null) - (two === null);
  if (typeof one === "number") return sign * (one - two);
  return sign * one.localeCompare(two, undefined, { numeric: true });
}

function format(value, signed) {
  if (value === null) return "-";
  if (typeof value === "string") return value;
  return `${signed && value > 0 ? "+" : ""}${value.toFixed(4)}`;
}

function make(tag, ...children) {
  const element = document.createElement(tag);
  element.append(...children);
  return element;
}
