/* The reader's place: rows must not move while they are read, under the pointer or with the focus. */

/** The height of the masthead and of the heads of the columns, which cover rows. */
const COVERED_PX = 92;

export class Place {
  /** `onLeft` is called when the pointer or the focus leaves the rows. */
  constructor(body, onLeft) {
    this.body = body;
    body.addEventListener("pointerleave", onLeft);
    body.addEventListener("focusout", onLeft);
    addEventListener("scroll", onLeft, { passive: true });
  }

  /** Whether the reader is among the rows, so that no rows may be added above. */
  isHeld() {
    const { body } = this;
    if (!body.childElementCount) return false;
    return body.getBoundingClientRect().top < COVERED_PX || body.matches(":hover") || body.contains(document.activeElement);
  }
}
