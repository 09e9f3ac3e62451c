/* Points to pixels: round, smooth dots written straight into an image, some milliseconds for 50,000. */
const MapRaster = (() => {
  /** Offsets and coverage (0..1) of the pixels of a disc, or of a ring as wide. */
  function disc(radius, hollow) {
    const reach = Math.ceil(radius + 0.5);
    const dots = [];
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const away = Math.hypot(dx, dy);
        let cover = Math.min(Math.max(radius + 0.5 - away, 0), 1);
        if (hollow) cover *= Math.min(Math.max(away - radius * 0.62 + 0.5, 0), 1);
        if (cover > 0.02) dots.push([dx, dy, cover]);
      }
    }
    return dots;
  }

  const pack = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;
  const mix = (a, b, share) => a.map((v, c) => Math.round(v * (1 - share) + b[c] * share));

  /**
   * Draw points into a 2d context.
   *
   * order: which points, the last on top. place(i) -> [x, y] in pixels is inlined: k, left, top.
   * dimmed(i): a point that is not highlighted; those are drawn first and faint.
   */
  function draw(context, data, { order, k, left, top, radius, palette, hollow, index, lit, back }) {
    const { width, height } = context.canvas;
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    pixels.fill(pack(back));
    // A ring needs some room for its hole.
    const shapes = [disc(radius, false), disc(Math.max(radius * 1.2, radius + 0.7), true)];
    const shape = hollow.map((ring) => shapes[Number(ring)]);
    const strong = palette.map(pack);
    const faint = palette.map((rgb) => pack(mix(back, rgb, 0.16)));
    const edge = Math.ceil(radius * 1.2) + 2;
    const stamp = (i, colour) => {
      const dots = shape[index[i]];
      const x = Math.round((data.x[i] - left) * k);
      const y = Math.round((data.y[i] - top) * k);
      if (x < edge || y < edge || x >= width - edge || y >= height - edge) return;
      const r = colour & 255, g = (colour >> 8) & 255, b = (colour >> 16) & 255;
      for (const [dx, dy, cover] of dots) {
        const at = (y + dy) * width + x + dx;
        if (cover >= 1) {
          pixels[at] = colour;
          continue;
        }
        const old = pixels[at], rest = 1 - cover;
        pixels[at] = (255 << 24)
          | ((b * cover + ((old >> 16) & 255) * rest) << 16)
          | ((g * cover + ((old >> 8) & 255) * rest) << 8)
          | (r * cover + (old & 255) * rest);
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
