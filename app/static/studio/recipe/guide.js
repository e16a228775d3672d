/* What helps a person to find an operation and its parameters: words, groups, goals, and what is shown first. */

/** Groups of operations in the dialog; those in none come last. */
export const GROUPS = {
  "Size and shape": ["resize", "crop", "rotate", "flip", "pad", "trim", "border", "round_corners"],
  "Hide and mark": ["redact", "watermark", "pixelate", "blur"],
  "Light and color": ["adjust", "autocontrast", "equalize", "sharpen", "grayscale", "sepia", "duotone", "invert", "opacity", "flatten"],
  "Effects and facts": ["median", "posterize", "quantize", "solarize", "inspect"],
};

/** What people type, besides names and descriptions. */
export const WORDS = {
  resize: "thumbnail compress smaller scale shrink enlarge size dimensions pixels web",
  crop: "cut square aspect ratio thumbnail trim",
  rotate: "straighten turn angle horizon",
  flip: "mirror reflect",
  pad: "canvas square margin letterbox size",
  trim: "autocrop whitespace border margin",
  border: "frame outline",
  round_corners: "avatar circle radius",
  redact: "face plate license number hide censor blur blackout privacy anonymize",
  watermark: "logo text copyright overlay stamp signature caption",
  pixelate: "mosaic face plate censor hide",
  blur: "soften face hide background denoise",
  adjust: "colour color brightness contrast saturation hue gamma exposure brighten darken vivid",
  autocontrast: "levels enhance faded improve",
  equalize: "histogram enhance contrast",
  sharpen: "unsharp crisp focus details",
  grayscale: "greyscale bw black white monochrome gray grey colour color",
  sepia: "vintage old brown retro colour color",
  duotone: "two colors tint spotify colour color",
  invert: "negative colour color",
  opacity: "transparent alpha fade",
  flatten: "transparency background alpha white",
  median: "denoise noise smooth despeckle",
  posterize: "poster bits colour color",
  quantize: "colors palette compress gif reduce colour color",
  solarize: "effect vintage",
  inspect: "info metadata exif palette histogram size facts blurhash",
};

/** Words that mean a choice of the file, not an operation. */
export const FILE_WORDS = ["convert", "webp", "avif", "jpeg", "jpg", "png", "gif", "tiff", "jxl", "format", "quality", "compress"];

/** Goals: a name and the recipe ({operations, …output}) with which it begins. */
export const GOALS = [
  ["Make smaller", { operations: [{ operation: "resize", width: 1600, height: 1600, fit: "inside", enlarge: false }], format: "webp" }],
  ["Hide something", { operations: [{ operation: "redact" }] }],
  ["Square thumbnail", { operations: [{ operation: "resize", width: 400, height: 400, fit: "cover", position: "smart" }], format: "webp" }],
];

/** Parameters that are shown first; the others are under "More". Operations without an entry show all. */
const MAIN = {
  resize: ["width", "height", "fit", "position", "background"],
  crop: ["left", "top", "width", "height", "aspect_ratio", "position"],
  watermark: ["text", "size", "color", "position", "opacity", "scale"],
  pad: ["aspect_ratio", "position", "background"],
  sharpen: ["percent", "radius"],
};

export function isMain(operation, name) {
  return MAIN[operation]?.includes(name) ?? true;
}

/** Parameters that only apply with others -> whether they do; `overlay` is whether there is one. */
const APPLIES = {
  resize: {
    position: ({ fit }) => ["cover", "contain"].includes(fit),
    background: ({ fit }) => fit === "contain",
    enlarge: ({ fit }) => ["inside", "outside", "contain", "cover"].includes(fit),
  },
  crop: { position: ({ aspect_ratio: ratio }) => ratio !== undefined },
  redact: { color: ({ method = "fill" }) => method === "fill" },
  pad: { position: ({ aspect_ratio: ratio }) => ratio !== undefined },
};

export function applies(operation, name, parameters) {
  return name in parameters || (APPLIES[operation]?.[name]?.(parameters) ?? true);
}

/** Output parameters -> the formats that have them; the others have all. */
const FORMATS = {
  quality: ["jpeg", "webp", "avif", "jxl"],
  subsampling: ["jpeg", "avif"],
  lossless: ["webp", "jxl"],
  progressive: ["jpeg"],
  effort: ["png", "webp", "avif", "jxl"],
  hdr: ["jpeg"],
  dpi: ["jpeg", "png", "tiff"],
  accept: [],
};

/** Whether an output parameter applies: with an unknown format, all but `accept` may. */
export function appliesToFile(name, output) {
  const { format = "keep" } = output;
  if (name in output || !(name in FORMATS)) return true;
  if (format === "auto") return name === "accept" || name === "quality";
  return format === "keep" ? name !== "accept" : FORMATS[name].includes(format);
}
