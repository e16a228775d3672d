/* What every page begins with. */

import { byId, icon } from "./dom.js";
import { themeButton } from "./theme.js";

themeButton(byId("theme"));
