/* The contents beside the text: they mark where one is, and fold on narrow screens. */

/** Height below the masthead at which a section counts as the present one. */
const READING_LINE_PX = 140;

export class Contents {
  /** `side` scrolls and holds the `nav` with the links; `button` folds it on narrow screens. */
  constructor(side, nav, button) {
    this._side = side;
    this._button = button;
    /** Links in the order of the text, each with the element it leads to. */
    this._places = Array.from(nav.querySelectorAll("a"), (link) => ({
      link,
      target: document.getElementById(link.hash.slice(1)),
    }));
    this._current = null;
    this._isDue = false;
    addEventListener("scroll", () => this._schedule(), { passive: true });
    addEventListener("resize", () => this._schedule());
    button.addEventListener("click", () => this._fold(this._isUnfolded()));
    nav.addEventListener("click", (event) => {
      if (event.target.closest("a")) this._fold(true);
    });
    document.addEventListener("keydown", (event) => this._escape(event));
    this._mark();
  }

  _isUnfolded() {
    return this._button.getAttribute("aria-expanded") === "true";
  }

  /** Fold the contents by Escape, which in a dialog closes the dialog alone. */
  _escape(event) {
    if (event.key !== "Escape" || event.target.closest("dialog") || !this._isUnfolded()) return;
    this._fold(true);
    this._button.focus();
  }

  _fold(isFolded) {
    this._button.setAttribute("aria-expanded", String(!isFolded));
    if (!isFolded) this._keepInView();
  }

  _schedule() {
    if (this._isDue) return;
    this._isDue = true;
    requestAnimationFrame(() => {
      this._isDue = false;
      this._mark();
    });
  }

  /** Mark the link of the last section that begins above the reading line; at the end of the page, of the last one. */
  _mark() {
    const isAbove = ({ target }) => target.getBoundingClientRect().top <= READING_LINE_PX;
    const isAtEnd = scrollY > 0 && innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const place = isAtEnd ? this._places.at(-1) : this._lastWhere(isAbove);
    if (place === this._current) return;
    this._current?.link.removeAttribute("aria-current");
    place?.link.setAttribute("aria-current", "location");
    this._current = place;
    this._keepInView();
  }

  /** Return the last place for which `test` holds, which is true up to some place: a binary search, for 90 links. */
  _lastWhere(test) {
    let [low, high] = [0, this._places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(this._places[middle])) low = middle + 1;
      else high = middle;
    }
    return this._places[low - 1] ?? null;
  }

  /** Scroll the contents, and not the page, to the current link. */
  _keepInView() {
    if (!this._current) return;
    const [link, side] = [this._current.link.getBoundingClientRect(), this._side.getBoundingClientRect()];
    const head = this._button.parentElement.offsetHeight;
    if (link.top < side.top + head || link.bottom > side.bottom)
      this._side.scrollTop += link.top - side.top - head - (side.height - head) / 3;
  }
}
