"use strict";
/* The map's data: base64 and JSON to typed arrays, once. */
const MapData = (() => {
  const decode = (base64) => {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  };

  /** Places as numbers in 0..1, columns as arrays of one value a point. */
  function read(id) {
    const raw = JSON.parse(document.getElementById(id).textContent);
    const places = new Uint16Array(decode(raw.places).buffer);
    const n = raw.points;
    const x = new Float32Array(n);
    const y = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      x[i] = places[2 * i] / 65535;
      y[i] = 1 - places[2 * i + 1] / 65535;
    }
    const columns = raw.columns.map((column) =>
      column.kind === "number"
        ? { ...column, values: new Float32Array(decode(column.values).buffer) }
        : { ...column, codes: decode(column.codes) });
    return {
      n, x, y, columns,
      rowIds: raw.rowIds,
      keys: raw.keys,
      tile: raw.tile,
      tileSizes: decode(raw.tileSizes),
      nameOf: (i) => (raw.keys ? raw.keys[i] : "row " + raw.rowIds[i]),
    };
  }

  const NOTHING = 255;

  /** What a column says of a point, for people. */
  function tell(column, i) {
    if (column.kind === "category") {
      return column.codes[i] === NOTHING ? "–" : column.names[column.codes[i]];
    }
    return number(column.values[i]);
  }

  function number(value) {
    if (!Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(2);
    return String(Number(value.toPrecision(3)));
  }

  return { read, tell, number, NOTHING };
})();
