// A row of small pictures; one is open, a click opens another.

export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector(".strip");
  list.setAttribute("aria-label", data.label);
  const known = new Map([...list.children].map((item) => [item.dataset.id, item]));
  const items = data.items.map(({ id, src, title, caption, badge }) => {
    const item = known.get(id) || makeItem();
    item.dataset.id = id;
    const button = item.firstChild;
    const [picture, name, note, mark] = button.children;
    if (picture.getAttribute("src") !== src) picture.setAttribute("src", src);
    name.textContent = title;
    note.textContent = caption;
    mark.textContent = badge || "";
    mark.hidden = !badge;
    button.setAttribute("aria-current", String(id === data.chosen));
    button.onclick = () => setTriggerValue("chosen", id);
    return item;
  });
  list.replaceChildren(...items);
  const open = list.querySelector("[aria-current=true]");
  if (open && open.dataset.seen !== data.chosen) {
    const [left, right] = [open.offsetLeft - list.offsetLeft, open.offsetLeft - list.offsetLeft + open.offsetWidth];
    if (left < list.scrollLeft || right > list.scrollLeft + list.clientWidth) list.scrollLeft = left - 40;
  }
  return () => {};
}

function makeItem() {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  const picture = document.createElement("img");
  picture.alt = "";
  picture.loading = "lazy";
  picture.decoding = "async";
  const parts = ["b", "span", "em"].map((tag) => document.createElement(tag));
  button.append(picture, ...parts);
  item.append(button);
  return item;
}
