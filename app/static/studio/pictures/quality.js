/* The PSNR of results against a lossless one of the same comparison, computed in this browser. */

/** Rows that are compared at once; the page stays responsive between. */
const ROWS = 256;

/** Formats that lose nothing, and that browsers decode. */
const LOSSLESS = ["png"];

/** Return the lossless result of a comparison, or null if there is none, or none but that. */
export function reference(outputs) {
  const found = outputs.find(({ format }) => LOSSLESS.includes(format));
  return found && outputs.length > 1 ? found : null;
}

/** Return 20 log10(255 / RMSE) in dB over red, green, blue and alpha; null where sizes differ or a format is not shown. */
export async function psnr(blob, original) {
  try {
    const [one, other] = await Promise.all([createImageBitmap(blob), createImageBitmap(original)]);
    if (one.width !== other.width || one.height !== other.height) return null;
    let sum = 0;
    for (let top = 0; top < one.height; top += ROWS) {
      const high = Math.min(ROWS, one.height - top);
      sum += squares(pixels(one, top, high), pixels(other, top, high));
      await new Promise((resolve) => setTimeout(resolve));
    }
    return decibels(sum / (one.width * one.height * 4));
  } catch {
    return null;
  }
}

/** Return the PSNR of a mean squared error of samples from 0 to 255. */
export function decibels(meanSquare) {
  return meanSquare === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(255 ** 2 / meanSquare);
}

function pixels(bitmap, top, high) {
  const canvas = new OffscreenCanvas(bitmap.width, high);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, -top);
  return pen.getImageData(0, 0, bitmap.width, high).data;
}

function squares(one, other) {
  let sum = 0;
  for (let place = 0; place < one.length; place += 1) sum += (one[place] - other[place]) ** 2;
  return sum;
}
