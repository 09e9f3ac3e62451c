/* Which part of the map is seen: from places in 0..1 to pixels of the stage and back. */
const MapView = (() => {
  const FILL = 0.94, MOST_ZOOM = 400;

  function make() {
    const view = { x: 0.5, y: 0.5, zoom: 1, width: 1, height: 1 };
    const k = () => Math.min(view.width, view.height) * FILL * view.zoom;
    const clamp = (v) => Math.min(Math.max(v, 0), 1);
    return {
      get scale() { return k(); },
      get zoom() { return view.zoom; },
      get left() { return view.x - view.width / 2 / k(); },
      get top() { return view.y - view.height / 2 / k(); },
      get width() { return view.width; },
      get height() { return view.height; },
      resize(width, height) { view.width = width; view.height = height; },
      toStage: (x, y) => [
        (x - view.x) * k() + view.width / 2, (y - view.y) * k() + view.height / 2],
      toMap: (px, py) => [
        (px - view.width / 2) / k() + view.x, (py - view.height / 2) / k() + view.y],
      move(dx, dy) {
        view.x = clamp(view.x - dx / k());
        view.y = clamp(view.y - dy / k());
      },
      /** Zoom by a factor and keep the place under (px, py) where it is. */
      zoomAt(factor, px, py) {
        const [x, y] = this.toMap(px, py);
        view.zoom = Math.min(Math.max(view.zoom * factor, 1), MOST_ZOOM);
        const [nx, ny] = this.toStage(x, y);
        this.move(px - nx, py - ny);
      },
      show(x, y) { view.x = clamp(x); view.y = clamp(y); },
      reset() { view.x = view.y = 0.5; view.zoom = 1; },
    };
  }

  /** The point nearest to a place of the stage, within so many pixels; -1 for none. */
  function nearest(data, view, px, py, within, lit) {
    const [x, y] = view.toMap(px, py);
    const reach = within / view.scale;
    let best = -1, least = reach * reach;
    for (let i = 0; i < data.n; i++) {
      if (lit && !lit[i]) continue;
      const dx = data.x[i] - x, dy = data.y[i] - y;
      const d = dx * dx + dy * dy;
      if (d <= least) { least = d; best = i; }
    }
    return best;
  }

  /** The next point from point `from` into a direction: near, and not far off the line. */
  function next(data, from, dx, dy, lit) {
    let best = -1, least = Infinity;
    for (let i = 0; i < data.n; i++) {
      if (i === from || (lit && !lit[i])) continue;
      const x = data.x[i] - data.x[from], y = data.y[i] - data.y[from];
      const along = x * dx + y * dy, off = Math.abs(x * dy - y * dx);
      if (along <= 0 || off > along) continue;
      const cost = along + 2 * off;
      if (cost < least) { least = cost; best = i; }
    }
    return best;
  }

  /** Points inside a polygon of places [[x, y], ...]. */
  function inside(data, polygon, lit) {
    const found = [];
    for (let i = 0; i < data.n; i++) {
      if (lit && !lit[i]) continue;
      const x = data.x[i], y = data.y[i];
      let odd = false;
      for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
        const [ax, ay] = polygon[a], [bx, by] = polygon[b];
        if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
      }
      if (odd) found.push(i);
    }
    return found;
  }

  return { make, nearest, next, inside };
})();
