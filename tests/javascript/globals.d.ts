// The pages only query HTML elements, while `querySelector` is typed for any element.
interface Element {
  focus(options?: FocusOptions): void;
  readonly dataset: DOMStringMap;
  checked?: boolean;
}
