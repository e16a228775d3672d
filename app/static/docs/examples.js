/* Code in several languages, of which the page shows one, and buttons that copy it. */

import { announce, copyText, h, icon } from "../shared/dom.js";

/** `early.js` reads it before the page is painted. */
const STORED = "darkroom-language";
const COPIED_MS = 1800;

/** Let the tabs of all examples choose one language for all of them. */
export function languageTabs(text) {
  const stored = localStorage.getItem(STORED);
  if (stored && text.querySelector(`[role="tab"][data-language="${CSS.escape(stored)}"]`)) show(text, stored);
  text.addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (tab) choose(text, tab);
  });
  text.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.target.role !== "tab") return;
    const tabs = Array.from(event.target.parentElement.children);
    const next = tabs.at((tabs.indexOf(event.target) + step) % tabs.length);
    choose(text, next);
    next.focus();
    event.preventDefault();
  });
}

/** Show the language of a tab, without moving the tab on the screen: the examples above it change their heights. */
function choose(text, tab) {
  const before = tab.getBoundingClientRect().top;
  localStorage.setItem(STORED, tab.dataset.language);
  show(text, tab.dataset.language);
  scrollBy({ top: tab.getBoundingClientRect().top - before, behavior: "instant" });
}

function show(text, language) {
  document.documentElement.dataset.code = language;
  for (const tab of text.querySelectorAll('[role="tab"]')) {
    const isShown = tab.dataset.language === language;
    tab.setAttribute("aria-selected", String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
  }
}

/** Add a button to each example and to each body of a request. */
export function copyButtons(text) {
  for (const code of text.querySelectorAll(".code, .body-of-request")) code.append(copyButton(code));
}

function copyButton(code) {
  const symbol = icon("copy");
  const button = h("button", { type: "button", class: "copy", "aria-label": "Copy", title: "Copy" }, symbol);
  button.addEventListener("click", async () => {
    await copyText(Array.from(code.querySelectorAll("pre")).find((pre) => pre.offsetParent !== null).textContent);
    announce("Copied");
    button.replaceChildren(icon("check"));
    setTimeout(() => button.replaceChildren(symbol), COPIED_MS);
  });
  return button;
}
