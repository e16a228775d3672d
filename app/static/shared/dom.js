/* Create and find elements. */

/**
 * Create an element. Attributes that begin with `on` are listeners, false leaves one out.
 * @param {string} tag
 * @param {Record<string, any>} attributes
 * @param {...any} children
 * @returns {any} the element; its tag decides its type
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string" && typeof value !== "number") element[name] = value;
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * Return the element with an id; throw if there is none.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no #${id}`);
  return element;
}

/** Return an icon of the page's sprite (`<symbol id="icon-…">`). */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Copy text to the clipboard, also without the clipboard API, which needs HTTPS or localhost. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "visually-hidden", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** Time that screen readers need to notice that the element has moved. */
const KNOWN_MS = 150;

let live = null;
let announced = "";

/** Announce a change to screen readers in the `aria-live` element of the page, inside of the open dialog if there is one. */
export function announce(text) {
  live ??= byId("live");
  announced = text;
  const host = topmost();
  const hasMoved = live.parentElement !== host;
  if (hasMoved) {
    live.textContent = "";
    host.append(live);
  }
  setTimeout(() => (live.textContent = announced), hasMoved ? KNOWN_MS : 0);
}

/** The open dialog above all others, outside of which everything is inert, or else the page. */
export function topmost() {
  return [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
}
