// A row of thumbnails, or of pairs; a click opens an image.

const MOST_LOADING = 2; // a browser asks a server for six things at once; the viewer's tiles need the rest
const loaders = new WeakMap();

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
    showShots(list, pictures, shots);
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
  return () => setTimeout(() => list.isConnected || loaderOf(list).close());
}

// Loads thumbnails when they come into sight, a few at once.
class Loader {
  constructor() {
    this.waiting = new Set();
    this.loading = new Set();
    const near = { rootMargin: "200px", scrollMargin: "200px" };
    this.watch = new IntersectionObserver((entries) => this.look(entries), near);
  }

  look(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.waiting.add(target);
      else this.waiting.delete(target);
    }
    this.loadNext();
  }

  loadNext() {
    for (const picture of this.waiting) {
      if (this.loading.size >= MOST_LOADING) return;
      this.waiting.delete(picture);
      this.watch.unobserve(picture);
      if (picture.isConnected) this.load(picture);
    }
  }

  load(picture) {
    this.loading.add(picture);
    picture.onload = picture.onerror = () => {
      this.loading.delete(picture);
      this.loadNext();
    };
    picture.src = picture.dataset.src;
  }

  // The next page's thumbnails must not wait for those of this one.
  close() {
    this.watch.disconnect();
    this.waiting.clear();
    for (const picture of this.loading) picture.removeAttribute("src");
  }
}

function loaderOf(list) {
  if (!loaders.has(list)) loaders.set(list, new Loader());
  return loaders.get(list);
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

function showShots(list, pictures, shots) {
  const before = [...pictures.querySelectorAll("img")].map((picture) => picture.dataset.src);
  if (before.join() === shots.map(({ src }) => src).join()) return;
  pictures.replaceChildren(...shots.map(({ src, label }) => {
    const picture = make("img");
    picture.alt = "";
    picture.decoding = "async";
    picture.dataset.src = src;
    loaderOf(list).watch.observe(picture);
    return make("span", "shot", picture, ...(label ? [make("i", "", label)] : []));
  }));
}
