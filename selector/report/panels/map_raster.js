/* Points to pixels: round, smooth dots written straight into an image, some milliseconds for 50,000. */
const MapRaster = (() => {
  /** Pixels of a disc, or of a ring as wide: offsets in an image `width` wide, coverage 0..256. */
  function disc(radius, hollow, width) {
    const reach = Math.ceil(radius + 0.5);
    const offset = [], cover = [];
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const away = Math.hypot(dx, dy);
        let share = Math.min(Math.max(radius + 0.5 - away, 0), 1);
        if (hollow) share *= Math.min(Math.max(away - radius * 0.62 + 0.5, 0), 1);
        if (share <= 0.02) continue;
        offset.push(dy * width + dx);
        cover.push(Math.round(256 * share));
      }
    }
    return { offset: Int32Array.from(offset), cover: Int32Array.from(cover) };
  }

  const pack = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;
  const mix = (a, b, share) => a.map((v, c) => Math.round(v * (1 - share) + b[c] * share));

  let image = null; // kept from frame to frame

  /**
   * Draw points into a 2d context.
   *
   * order: which points, the last on top; lit: which are highlighted (null: all), the others lie
   * below and are faint. A point is at ((x - left) * k, (y - top) * k) pixels; palette and hollow
   * say how each value of index looks.
   */
  function draw(context, data, { order, k, left, top, radius, palette, hollow, index, lit, back }) {
    const { width, height } = context.canvas;
    if (!image || image.width !== width || image.height !== height) {
      image = context.createImageData(width, height);
    }
    const pixels = new Uint32Array(image.data.buffer);
    pixels.fill(pack(back));
    // A ring needs some room for its hole.
    const shapes = [
      disc(radius, false, width), disc(Math.max(radius * 1.2, radius + 0.7), true, width)];
    const shape = hollow.map((ring) => shapes[Number(ring)]);
    const strong = palette.map(pack);
    const faint = palette.map((rgb) => pack(mix(back, rgb, 0.16)));
    const edge = Math.ceil(radius * 1.2) + 2;
    const { x, y } = data;
    const stamp = (i, colour) => {
      const px = Math.round((x[i] - left) * k), py = Math.round((y[i] - top) * k);
      if (px < edge || py < edge || px >= width - edge || py >= height - edge) return;
      const { offset, cover } = shape[index[i]];
      const centre = py * width + px;
      const r = colour & 255, g = (colour >> 8) & 255, b = (colour >> 16) & 255;
      for (let at = 0; at < offset.length; at++) {
        const pixel = centre + offset[at], share = cover[at];
        if (share === 256) {
          pixels[pixel] = colour;
          continue;
        }
        const old = pixels[pixel], rest = 256 - share;
        pixels[pixel] = 0xff000000
          | (((b * share + ((old >> 16) & 255) * rest) >> 8) << 16)
          | (((g * share + ((old >> 8) & 255) * rest) >> 8) << 8)
          | ((r * share + (old & 255) * rest) >> 8);
      }
    };
    if (lit) for (const i of order) if (!lit[i]) stamp(i, faint[index[i]]);
    for (const i of order) if (!lit || lit[i]) stamp(i, strong[index[i]]);
    context.putImageData(image, 0, 0);
  }

  /** A fixed shuffle of 0..n-1: no category may lie on top for coming last. */
  function shuffled(n) {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    let state = 12345;
    for (let i = n - 1; i > 0; i--) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const j = Math.floor((state / 4294967296) * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** The same points, those of rare categories last, so that they lie on top. */
  function rareOnTop(order, column, counts) {
    if (column.kind !== "category") return order;
    const size = (i) => (column.codes[i] === MapData.NOTHING ? Infinity : counts[column.codes[i]]);
    return Uint32Array.from([...order].sort((a, b) => {
      const one = size(a), other = size(b);
      return one === other ? 0 : one > other ? -1 : 1;
    }));
  }

  return { draw, shuffled, rareOnTop };
})();
