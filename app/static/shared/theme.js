/* The theme: light, dark, or that of the system; stored in this browser, where `early.js` reads it. */

import { byId } from "./dom.js";

const STORED = "darkroom-theme";

function show(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

/** Let a button switch between light and dark. */
export function themeButton(button) {
  const isDark = () =>
    getComputedStyle(document.documentElement).colorScheme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    localStorage.setItem(STORED, theme);
    show(theme);
  });
}

/* The masthead of all pages. */

themeButton(byId("theme"));
