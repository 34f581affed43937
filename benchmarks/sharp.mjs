// sharp in a process of its own: the requests and answers of benchmarks/serve.py.
// Run in the directory that holds node_modules; the implementation's name is the only argument.
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const sharp = createRequire(join(process.cwd(), "package.json"))("sharp");
sharp.concurrency(1); // one core is what is measured
sharp.cache(false); // otherwise the second round would be free

const implementations = { "sharp-cascade": cascade, "sharp-per-size": perSize };
const implementation = implementations[process.argv[2]];
const options = { limitInputPixels: false };

// One decode; every size from the raw pixels of the largest.
async function cascade(data, task) {
  const raw = (image) => image.raw().toBuffer({ resolveWithObject: true });
  const outputs = {};
  let largest;
  for (const [place, width] of task.widths.entries()) {
    let pixels;
    if (place === 0) {
      pixels = largest = await raw(
        sharp(data, options).autoOrient().resize({ width, withoutEnlargement: true }),
      );
    } else {
      pixels = await raw(sharp(largest.data, { raw: largest.info }).resize({ width }));
    }
    const { data: bytes, info } = pixels;
    await encodeAll(() => sharp(bytes, { raw: info }), info.channels === 4, task, place, outputs);
  }
  return outputs;
}

// As its documentation shows it: a pipeline from the file to the output for each of them.
async function perSize(data, task) {
  const transparent = (await sharp(data, options).metadata()).hasAlpha;
  const outputs = {};
  for (const [place, width] of task.widths.entries()) {
    const image = () =>
      sharp(data, options).autoOrient().resize({ width, withoutEnlargement: true });
    await encodeAll(image, transparent, task, place, outputs);
  }
  return outputs;
}

async function encodeAll(image, transparent, task, place, outputs) {
  for (const [name, quality] of Object.entries(task.formats)) {
    const settings = (task.encoders[name] ?? [])[place] ?? {};
    let encoder;
    if (name === "jpeg" && transparent) {
      const png = (task.encoders.png ?? [])[place] ?? {};
      encoder = image().png({ compressionLevel: png.compress_level ?? 6 });
    } else if (name === "jpeg") {
      const progressive = Boolean(settings.progressive);
      encoder = image().jpeg({
        quality,
        progressive,
        optimiseCoding: progressive || Boolean(settings.optimize),
        chromaSubsampling: "4:2:0",
      });
    } else if (name === "webp") {
      encoder = image().webp({ quality, effort: settings.method ?? 4 });
    } else {
      const effort = 9 - Math.min(9, settings.speed ?? 6); // counted from the other end
      encoder = image().avif({ quality, effort, chromaSubsampling: "4:2:0" });
    }
    outputs[`w${task.widths[place]}.${name}`] = await encoder.toBuffer();
  }
}

let held = { path: null, data: null };
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    if (held.path !== request.picture) {
      held = { path: request.picture, data: readFileSync(request.picture) };
    }
    const began = process.cpuUsage();
    const outputs = await implementation(held.data, request.task);
    const used = process.cpuUsage(began);
    for (const [name, body] of Object.entries(request.output === null ? {} : outputs)) {
      writeFileSync(join(request.output, name), body);
    }
    answer = {
      seconds: (used.user + used.system) / 1e6,
      sizes: Object.fromEntries(Object.entries(outputs).map(([name, body]) => [name, body.length])),
    };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
