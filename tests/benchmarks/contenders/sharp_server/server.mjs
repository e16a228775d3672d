// sharp behind a bare HTTP server: POST a picture, get the result; no queue, no status, no promise.
import { createServer } from "node:http";
import sharp from "sharp";

createServer(async (request, response) => {
  const wish = Object.fromEntries(new URL(request.url, "http://localhost").searchParams);
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let image = sharp(Buffer.concat(chunks)).autoOrient();
  if (wish.operation === "grayscale") image = image.grayscale();
  else image = image.resize(Number(wish.width ?? 100), Number(wish.height ?? 100), { fit: wish.fit ?? "fill" });
  const options = wish.quality ? { quality: Number(wish.quality) } : {};
  const result = await image.toFormat(wish.format, options).toBuffer();
  response.writeHead(200, { "Content-Type": `image/${wish.format}`, "Content-Length": result.length });
  response.end(result);
}).listen(Number(process.env.PORT), "127.0.0.1");
