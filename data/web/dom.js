// Elements, made without a line of HTML: whatever a guest chose becomes a text node or the value of
// an attribute, and nothing of it is ever parsed.

// h("td", {class: "what"}, "text", child, …): properties that begin with "on" are listeners.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined)
    .map(child => child instanceof Node ? child : String(child)));
  return element;
}

// Rows by key: those that stay are kept as they are, so that a focus, a selection and what is
// expanded outlive an update. `make` makes a row, `fill` brings it up to date.
export class Rows {
  constructor(parent) {
    this.parent = parent;
    this.rows = new Map();
  }
  show(list, key, make, fill) {
    const seen = new Set();
    let place = this.parent.firstChild;
    for (const item of list) {
      const name = key(item);
      seen.add(name);
      let row = this.rows.get(name);
      if (!row) {
        row = make(item);
        this.rows.set(name, row);
      }
      fill(row, item);
      if (row === place) place = place.nextSibling;
      else this.parent.insertBefore(row, place);
    }
    for (const [name, row] of this.rows) {
      if (seen.has(name)) continue;
      row.remove();
      this.rows.delete(name);
    }
  }
}

export function setText(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

// 60 values as a line, drawn to their own highest.
export class Spark {
  constructor(label) {
    const name = "http://www.w3.org/2000/svg";
    this.element = document.createElementNS(name, "svg");
    this.element.setAttribute("class", "spark");
    this.element.setAttribute("viewBox", "0 0 110 24");
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("role", "img");
    this.element.setAttribute("aria-label", label);
    this.area = document.createElementNS(name, "path");
    this.area.setAttribute("class", "area");
    this.line = document.createElementNS(name, "path");
    this.element.append(this.area, this.line);
  }
  show(values) {
    const most = Math.max(1, ...values);
    const step = 110 / Math.max(1, values.length - 1);
    const points = values.map((value, i) =>
      `${(i * step).toFixed(1)} ${(22.5 - value / most * 21).toFixed(1)}`);
    const line = points.length ? `M${points.join("L")}` : "";
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", line && `${line}L110 24L0 24Z`);
  }
}

export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    ++unit;
  }
  return `${unit === 0 ? Math.round(count) : count.toPrecision(3)} ${units[unit]}`;
}

export function age(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
  return `${Math.floor(seconds / 86400)} d`;
}

export function clock(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? "" : date.toTimeString().slice(0, 8);
}
