/* Pictures of points, cut from the sheets; a sheet is decoded when one of its tiles is first asked for. */
const MapPictures = (() => {
  function make(data, onLoaded) {
    const sources = Array.from(document.querySelectorAll("script.map-sheet"));
    const sheets = sources.map(() => null);
    let perRow = 0, perSheet = 0;
    const SHEET_SIDE = 1920;
    if (data.tile) {
      perRow = Math.floor(SHEET_SIDE / data.tile);
      perSheet = perRow * perRow;
    }
    const sheet = (number) => {
      if (!sheets[number]) {
        const image = new Image();
        image.onload = onLoaded;
        image.src = "data:image/jpeg;base64," + sources[number].textContent;
        sheets[number] = image;
      }
      return sheets[number];
    };
    return {
      has: (i) => data.tile > 0 && data.tileSizes[2 * i] > 0,
      /** Draw the picture of a point into a square; false while its sheet is not there yet. */
      draw(context, i, x, y, side) {
        if (!this.has(i)) return false;
        const image = sheet(Math.floor(i / perSheet));
        if (!image.complete || !image.naturalWidth) return false;
        const at = i % perSheet;
        const w = data.tileSizes[2 * i], h = data.tileSizes[2 * i + 1];
        const fit = side / Math.max(w, h);
        const left = (at % perRow) * data.tile, top = Math.floor(at / perRow) * data.tile;
        context.drawImage(image, left, top, w, h,
          x + (side - w * fit) / 2, y + (side - h * fit) / 2, w * fit, h * fit);
        return true;
      },
    };
  }
  return { make };
})();
