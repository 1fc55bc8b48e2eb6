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
function toLabelme(row, entities, name, imageData) {
  const [imageWidth, imageHeight] = row.image_size || [0, 0], shapes = [];
  for (const entity of entities) {
    const shape = { label: entity.text, group_id: null, description: entity.type, flags: {} };
    for (const [x1, y1, x2, y2] of entity.boxes || []) shapes.push({ ...shape, shape_type: "rectangle", points: [[x1, y1], [x2, y2]] });
    for (const mask of entity.masks || []) {
      const box = maskBox(mask);
      if (box) shapes.push({ ...shape, shape_type: "mask", points: [[box[0], box[1]], [box[2] - 1, box[3] - 1]], mask: bitmap(mask, box) });
    }
  }
  return { version: "5.5.0", flags: {}, shapes, imagePath: name, imageData, imageHeight, imageWidth };
}

/** The part of a mask in its box as a PNG in base64. */
function bitmap(mask, [x1, y1, x2, y2]) {
  const canvas = document.createElement("canvas"), pixels = decodeMask(mask);
  canvas.width = x2 - x1;
  canvas.height = y2 - y1;
  const pen = canvas.getContext("2d"), image = pen.createImageData(canvas.width, canvas.height);
  for (let y = y1; y < y2; y++)
    for (let x = x1; x < x2; x++) {
      const at = 4 * ((y - y1) * canvas.width + x - x1), value = pixels[y * mask.size[1] + x] * 255;
      image.data.set([value, value, value, 255], at);
    }
  pen.putImageData(image, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
}
