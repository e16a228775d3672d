/* Edit the boxes of a step on the picture as it is before that step. */

import { announce } from "../../shared/dom.js";

/** Steps whose boxes are edited -> how their parameters are read and written. */
const BOXES = {
  redact: {
    isSingle: false,
    read: ({ boxes = [] }) => boxes,
    write: (boxes) => ({ boxes: boxes.length ? boxes : undefined }),
  },
  crop: {
    isSingle: true,
    read: ({ left, top, width, height }) => (width && height ? [{ left: left ?? 0, top: top ?? 0, width, height }] : []),
    write: ([box]) => ({
      left: undefined,
      top: undefined,
      width: undefined,
      height: undefined,
      aspect_ratio: undefined,
      position: undefined,
      ...box,
    }),
  },
};

/** Let the user edit the boxes of the step with a key, until Done, Escape, or until the step is removed. */
export async function editBoxes(key, stage, state, preview) {
  if (stage.edited === key) {
    stage.endEditing();
    return;
  }
  const { picture } = stage;
  if (!picture?.url && !picture?.address) {
    announce("Choose a picture first");
    return;
  }
  const find = () => state.value.steps.find((step) => step.key === key);
  const kind = BOXES[find().operation];
  const before = state.value.steps.slice(0, state.value.steps.indexOf(find()));
  const isMade = before.length > 0 || !picture.url || picture.isUnshowable;
  const url = isMade ? await preview.before(picture, before) : picture.url;
  if (!url || !find() || stage.picture !== picture) return;
  const isCrop = kind.isSingle;
  const change = (boxes, gesture) => state.setParameters(key, kind.write(boxes), gesture);
  const editor = await stage.edit(key, url, isMade, { isSingle: isCrop, change });
  const render = () => {
    const step = find();
    if (stage.edited !== key || !step) {
      state.removeEventListener("change", render);
      if (stage.edited === key) stage.endEditing();
      return;
    }
    editor.render(kind.read(step.parameters));
  };
  state.addEventListener("change", render);
  render();
  editor.focus();
}
