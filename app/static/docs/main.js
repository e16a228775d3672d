/* The reference of the API: contents that follow the text, search, and code in three languages. */

import { byId } from "../shared/dom.js";
import { Contents } from "./contents.js";
import { copyButtons, languageTabs } from "./examples.js";
import { Search } from "./search.js";

const text = byId("main");

// Sections out of sight have no height of their own yet, so that a browser that restores the position misses the section.
if (location.hash) {
  history.scrollRestoration = "manual";
  addEventListener("load", () => document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView());
}

languageTabs(text);
copyButtons(text);
new Contents(byId("side"), byId("contents"), byId("contents-button"));
new Search(text, byId("search-button"));
