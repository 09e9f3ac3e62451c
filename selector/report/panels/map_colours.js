/* Colours of points: categories by the page's eight colour-blind-safe series, numbers by cividis. */
const MapColours = (() => {
  const CIVIDIS = [
    [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
    [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
  ];
  const SERIES = 8;

  const parse = (text) => {
    const hex = text.trim().replace("#", "");
    return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  };

  /** The page's own colours, as they are in light or in dark. */
  function theme() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => parse(style.getPropertyValue(name));
    return {
      dark: matchMedia("(prefers-color-scheme: dark)").matches,
      back: colour("--panel"),
      pool: colour("--pool"),
      ink: colour("--ink"),
      selected: colour("--selected"),
      series: Array.from({ length: SERIES }, (_, i) => colour("--series-" + (i + 1))),
    };
  }

  function scale(share, dark) {
    // The darkest tones would drown in a dark page, the brightest in a light one.
    const [low, high] = dark ? [0.25, 1] : [0, 0.93];
    const at = (low + (high - low) * Math.min(Math.max(share, 0), 1)) * (CIVIDIS.length - 1);
    const left = Math.min(Math.floor(at), CIVIDIS.length - 2);
    const part = at - left;
    return [0, 1, 2].map((c) =>
      Math.round(CIVIDIS[left][c] * (1 - part) + CIVIDIS[left + 1][c] * part));
  }

  /** Where a number lies between the ends of its scale, 0..1. */
  function share(column, value) {
    const f = column.log ? (v) => Math.log(Math.max(v, 1e-45)) : (v) => v;
    const span = f(column.high) - f(column.low);
    return span > 0 ? (f(value) - f(column.low)) / span : 0.5;
  }

  /** [colour, hollow] of each category: the most frequent first, each colour filled, then hollow. */
  function ofCategories(column, counts, look) {
    const filled = (rgb) => [rgb, false];
    if (column.name === "selection") {
      const [blue, orange, green, , , red] = look.series;
      const known = column.names.length > 3
        ? [look.pool, blue, orange, green, red]
        : [look.pool, look.selected, red];
      return column.names.map((_, k) => filled(known[k]));
    }
    if (column.names.length === 2 && column.names[0] === "true" && column.names[1] === "false") {
      return [look.series[5], look.pool].map(filled);
    }
    const ranked = column.names.map((_, k) => k).sort((a, b) => counts[b] - counts[a] || a - b);
    const kinds = column.names.map(() => filled(look.pool));
    ranked.slice(0, 2 * SERIES).forEach((k, rank) => {
      kinds[k] = [look.series[rank % SERIES], rank >= SERIES];
    });
    return kinds;
  }

  const NUM_SHADES = 64;

  /** {palette: [[r, g, b], ...], hollow: [bool, ...], index: one palette position a point}. */
  function paint(column, counts, look) {
    if (column.kind === "category") {
      const kinds = [...ofCategories(column, counts, look), [look.pool, false]];
      const last = kinds.length - 1;
      const index = Uint8Array.from(column.codes, (k) => (k === MapData.NOTHING ? last : k));
      return { palette: kinds.map(([rgb]) => rgb), hollow: kinds.map(([, ring]) => ring), index };
    }
    const palette = Array.from({ length: NUM_SHADES }, (_, i) =>
      scale(i / (NUM_SHADES - 1), look.dark));
    palette.push(look.pool);
    const index = Uint8Array.from(column.values, (value) => {
      if (!Number.isFinite(value)) return NUM_SHADES;
      const at = Math.floor(share(column, value) * NUM_SHADES);
      return Math.min(Math.max(at, 0), NUM_SHADES - 1);
    });
    return { palette, hollow: palette.map(() => false), index };
  }

  const css = (rgb) => `rgb(${rgb.join(" ")})`;

  return { theme, paint, scale, css };
})();
