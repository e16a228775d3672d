// sharp behind a bare HTTP server: POST a picture, get the results; no queue, no status, no promise.
import { createServer } from "node:http";
import sharp from "sharp";

createServer(async (request, response) => {
  const query = Object.fromEntries(new URL(request.url, "http://localhost").searchParams);
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const image = sharp(Buffer.concat(chunks)).autoOrient();
  const outputs = JSON.parse(query.outputs);
  const results = outputs.length ? await several(image, outputs) : [await one(image, query)];
  const body = Buffer.concat(results.flatMap((result) => [length(result), result]));
  response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Length": body.length });
  response.end(body);
}).listen(Number(process.env.PORT), "127.0.0.1");

function one(image, { operation, width = 100, height = 100, fit = "fill", format, quality }) {
  const changed = operation === "grayscale" ? image.grayscale() : image.resize(Number(width), Number(height), { fit });
  return changed.toFormat(format, quality ? { quality: Number(quality) } : {}).toBuffer();
}

// One decoding, one scaling for each width.
async function several(image, outputs) {
  const raw = ({ data, info }) => sharp(data, { raw: info });
  const decoded = await image.raw().toBuffer({ resolveWithObject: true });
  const results = [];
  let width, scaled;
  for (const output of outputs) {
    if (output.width !== width) scaled = await raw(decoded).resize(output.width).raw().toBuffer({ resolveWithObject: true });
    width = output.width;
    results.push(await raw(scaled).toFormat(output.format, { quality: output.quality }).toBuffer());
  }
  return results;
}

function length(result) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(result.length);
  return bytes;
}
