// A row of small pictures, or of pairs; one is open, a click opens another.

export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector(".strip");
  list.setAttribute("aria-label", data.label);
  list.classList.toggle("large", data.large);
  const known = new Map([...list.children].map((item) => [item.dataset.id, item]));
  const items = data.items.map(({ id, shots, title, caption, badge }) => {
    const item = known.get(id) || makeItem();
    item.dataset.id = id;
    const button = item.firstChild;
    const [pictures, name, note, mark] = button.children;
    showShots(pictures, shots);
    name.textContent = title;
    note.textContent = caption;
    note.hidden = !caption;
    mark.textContent = badge || "";
    mark.hidden = !badge;
    button.setAttribute("aria-current", String(id === data.chosen));
    button.onclick = () => setTriggerValue("chosen", id);
    return item;
  });
  list.replaceChildren(...items);
  const open = list.querySelector("[aria-current=true]");
  if (open && list.dataset.seen !== data.chosen) {
    list.dataset.seen = data.chosen;
    const left = open.offsetLeft - list.offsetLeft;
    const right = left + open.offsetWidth;
    if (left < list.scrollLeft || right > list.scrollLeft + list.clientWidth) list.scrollLeft = left - 40;
  }
  return () => setTimeout(() => list.isConnected || forgetUnfinished(list));
}

// Who left the page waits for the next one's pictures, not for these.
function forgetUnfinished(list) {
  for (const picture of list.querySelectorAll("img")) if (!picture.complete) picture.removeAttribute("src");
}

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function makeItem() {
  const button = make("button", "", make("span", "shots"), make("b"), make("span", "note"), make("em"));
  button.type = "button";
  return make("li", "", button);
}

function showShots(pictures, shots) {
  const before = [...pictures.querySelectorAll("img")].map((picture) => picture.getAttribute("src"));
  if (before.join() === shots.map(({ src }) => src).join()) return;
  pictures.replaceChildren(...shots.map(({ src, label }) => {
    const picture = make("img");
    picture.alt = "";
    picture.loading = "lazy";
    picture.decoding = "async";
    picture.src = src;
    return make("span", "shot", picture, ...(label ? [make("i", "", label)] : []));
  }));
}
