"use strict";
// COCO run-length codes, and results in the formats of other tools.

/** The pixels of a compressed COCO code (column by column, background first) as a row-by-row array of 0 and 1. */
function decodeMask(mask) {
  const [height, width] = mask.size, runs = [], text = mask.counts;
  for (let at = 0; at < text.length; ) {
    let value = 0, shift = 0, piece;
    do {
      piece = text.charCodeAt(at++) - 48;
      value |= (piece & 31) << shift;
      shift += 5;
    } while (piece & 32);
    if (piece & 16) value |= -1 << shift;
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
  }
  const pixels = new Uint8Array(height * width);
  let position = 0, on = 0;
  for (const run of runs) {
    if (on) for (let at = position; at < position + run; at++) pixels[(at % height) * width + Math.floor(at / height)] = 1;
    position += run;
    on = 1 - on;
  }
  return pixels;
}

/** The smallest box around the pixels of a mask, [x1, y1, x2, y2], or null where it has none. */
function maskBox(mask) {
  const [height, width] = mask.size, pixels = decodeMask(mask);
  let box = null;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (pixels[y * width + x])
        box = box ? [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x + 1), Math.max(box[3], y + 1)] : [x, y, x + 1, y + 1];
  return box;
}

/** COCO instances: one annotation a region. */
function toCoco(row, entities, name) {
  const types = ["PER", "LOC", "ORG", "OTHER"], annotations = [], [width, height] = row.image_size || [0, 0];
  for (const entity of entities) {
    const masks = entity.masks || [], boxes = entity.boxes || [];
    for (let index = 0; index < Math.max(masks.length, boxes.length); index++) {
      const box = boxes[index] || maskBox(masks[index]);
      if (!box) continue;
      const area = masks[index] ? decodeMask(masks[index]).reduce((sum, one) => sum + one, 0) : (box[2] - box[0]) * (box[3] - box[1]);
      annotations.push({
        id: annotations.length + 1, image_id: 1, category_id: types.indexOf(entity.type) + 1, iscrowd: 0, area,
        bbox: [box[0], box[1], box[2] - box[0], box[3] - box[1]],
        ...(masks[index] ? { segmentation: masks[index] } : {}),
        attributes: { text: entity.text, start: entity.start, end: entity.end },
      });
    }
  }
  return {
    images: [{ id: 1, file_name: name, width, height }],
    categories: types.map((type, index) => ({ id: index + 1, name: type })),
    annotations,
  };
}

/** A labelme file: a rectangle for each box, a bitmap for each mask, labelled with the name. */
async function toLabelme(row, entities, name, imageData) {
  const [imageWidth, imageHeight] = row.image_size || [0, 0], shapes = [];
  for (const entity of entities) {
    const shape = { label: entity.text, group_id: null, description: entity.type, flags: {} };
    for (const [x1, y1, x2, y2] of entity.boxes || []) shapes.push({ ...shape, shape_type: "rectangle", points: [[x1, y1], [x2, y2]] });
    for (const mask of entity.masks || []) {
      const box = maskBox(mask);
      if (box) shapes.push({ ...shape, shape_type: "mask", points: [[box[0], box[1]], [box[2] - 1, box[3] - 1]], mask: await bitmap(mask, box) });
    }
  }
  return { version: "5.5.0", flags: {}, shapes, imagePath: name, imageData, imageHeight, imageWidth };
}

/** The part of a mask in its box as a grey PNG in base64; a canvas would make one of four channels, which is no mask. */
async function bitmap(mask, [x1, y1, x2, y2]) {
  const pixels = decodeMask(mask), width = x2 - x1, height = y2 - y1;
  const lines = new Uint8Array(height * (width + 1)); // each line begins with its filter, 0
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) lines[y * (width + 1) + x + 1] = 255 * pixels[(y + y1) * mask.size[1] + x + x1];
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, 8); // bits of a pixel; what follows, colours and the like, is 0
  const packed = new Response(new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate")));
  return base64(new Blob([
    new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk("IHDR", new Uint8Array(head.buffer)),
    chunk("IDAT", new Uint8Array(await packed.arrayBuffer())),
    chunk("IEND", new Uint8Array()),
  ]));
}

/** A chunk of a PNG: length, kind, content and checksum. */
function chunk(kind, content) {
  const made = new Uint8Array(content.length + 12), view = new DataView(made.buffer), end = content.length + 8;
  view.setUint32(0, content.length);
  made.set(new TextEncoder().encode(kind), 4);
  made.set(content, 8);
  view.setUint32(end, crc32(made.subarray(4, end)));
  return made;
}

function crc32(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

/** The bytes of a file or a blob in base64. */
async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}
