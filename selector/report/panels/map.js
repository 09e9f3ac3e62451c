/* The map: colours, legend, pointer and keys around the modules above. */
(() => {
  const byId = (id) => document.getElementById(id);
  const data = MapData.read("map-data");
  const canvas = byId("map-canvas"), over = byId("map-over"), stage = byId("map-stage");
  const context = canvas.getContext("2d", { alpha: false });
  const overlay = over.getContext("2d");
  const view = MapView.make();
  const shuffled = MapRaster.shuffled(data.n);
  const pictures = MapPictures.make(data, () => { refresh(); list.redraw(); card(current); });
  const list = MapList.make(data, pictures, () => { outline = null; refresh(); });
  const CLOSE = 150; // points in view from which on their pictures are shown in place
  const MOST_RINGS = 400; // of more points in the list only the lasso is drawn
  let look = MapColours.theme();
  let column = data.columns[0], counts = [], paint = null, highlighted = new Set(), lit = null;
  let order = shuffled, outline = null;
  let current = -1, lasso = null, lassoing = false, ratio = 1, waiting = false;

  // ---- drawing -------------------------------------------------------------------------------

  function refresh() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }

  function radius() {
    const base = data.n > 20000 ? 1.5 : data.n > 5000 ? 2 : 3;
    return base * Math.min(view.zoom ** 0.35, 3);
  }

  function draw() {
    const started = performance.now();
    MapRaster.draw(context, data, {
      order, lit, k: view.scale * ratio, left: view.left, top: view.top,
      radius: radius() * ratio, back: look.back, ...paint,
    });
    drawOver();
    // For whoever measures: how long the script took for the last frame, milliseconds.
    stage.dataset.frameMs = (performance.now() - started).toFixed(2);
  }

  function drawOver() {
    overlay.setTransform(ratio, 0, 0, ratio, 0, 0);
    overlay.clearRect(0, 0, view.width, view.height);
    const seen = inView(CLOSE + 1);
    if (data.tile && view.zoom > 1.5 && seen.length <= CLOSE) seen.forEach(drawPicture);
    overlay.lineWidth = 1.5;
    overlay.strokeStyle = MapColours.css(look.ink);
    if (list.size <= MOST_RINGS) for (const i of list.members()) ring(i, radius() + 2);
    overlay.lineWidth = 2.5;
    if (current >= 0) ring(current, radius() + 5);
    if (lasso) drawLasso(lasso);
    else if (outline) drawLasso(outline.map(([x, y]) => view.toStage(x, y)));
  }

  function drawLasso(polygon) {
    overlay.lineWidth = 1.5;
    overlay.setLineDash([5, 4]);
    overlay.beginPath();
    polygon.forEach(([x, y], at) => overlay[at ? "lineTo" : "moveTo"](x, y));
    overlay.closePath();
    overlay.stroke();
    overlay.setLineDash([]);
  }

  function drawPicture(i) {
    const side = Math.min(Math.max(data.tile, 32), 72);
    const [x, y] = view.toStage(data.x[i], data.y[i]);
    overlay.globalAlpha = lit && !lit[i] ? 0.25 : 1;
    if (pictures.draw(overlay, i, x - side / 2, y - side / 2, side)) {
      overlay.lineWidth = 2.5;
      overlay.strokeStyle = MapColours.css(paint.palette[paint.index[i]]);
      overlay.strokeRect(x - side / 2, y - side / 2, side, side);
    }
    overlay.globalAlpha = 1;
  }

  function ring(i, size) {
    const [x, y] = view.toStage(data.x[i], data.y[i]);
    if (x < -20 || y < -20 || x > view.width + 20 || y > view.height + 20) return;
    overlay.beginPath();
    overlay.arc(x, y, size, 0, 2 * Math.PI);
    overlay.stroke();
  }

  function inView(most) {
    const found = [];
    const [left, top] = view.toMap(0, 0), [right, bottom] = view.toMap(view.width, view.height);
    for (let i = 0; i < data.n && found.length < most; i++) {
      const x = data.x[i], y = data.y[i];
      if (x >= left && x <= right && y >= top && y <= bottom) found.push(i);
    }
    return found;
  }

  // ---- colours and legend ----------------------------------------------------------------------

  function colour() {
    counts = [];
    if (column.kind === "category") {
      counts = column.names.map(() => 0);
      for (const code of column.codes) if (code !== MapData.NOTHING) counts[code]++;
    }
    paint = MapColours.paint(column, counts, look);
    order = MapRaster.rareOnTop(shuffled, column, counts);
  }

  function highlight() {
    lit = null;
    if (highlighted.size) {
      lit = new Uint8Array(data.n);
      for (let i = 0; i < data.n; i++) if (highlighted.has(column.codes[i])) lit[i] = 1;
    }
    refresh();
  }

  function legend() {
    const parts = column.kind === "category" ? categories() : numbers();
    byId("map-legend").replaceChildren(...parts);
  }

  function categories() {
    const buttons = column.names.map((name, k) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(highlighted.has(k)));
      const swatch = document.createElement("i");
      swatch.style.borderColor = MapColours.css(paint.palette[k]);
      if (!paint.hollow[k]) swatch.style.background = MapColours.css(paint.palette[k]);
      const count = document.createElement("small");
      count.textContent = counts[k].toLocaleString("en");
      button.append(swatch, name, " ", count);
      button.addEventListener("click", () => {
        if (!highlighted.delete(k)) highlighted.add(k);
        button.setAttribute("aria-pressed", String(highlighted.has(k)));
        take.hidden = !highlighted.size;
        highlight();
      });
      return button;
    });
    const take = document.createElement("button");
    take.type = "button";
    take.className = "map-take";
    take.textContent = "Take the highlighted into the list";
    take.hidden = !highlighted.size;
    take.addEventListener("click", () =>
      list.take([...order].filter((i) => lit && lit[i]).sort((a, b) => a - b), true));
    return [...buttons, take];
  }

  function numbers() {
    const bar = document.createElement("canvas");
    bar.width = 256;
    bar.height = 1;
    bar.className = "map-scale";
    const brush = bar.getContext("2d");
    for (let at = 0; at < 256; at++) {
      brush.fillStyle = MapColours.css(MapColours.scale(at / 255, look.dark));
      brush.fillRect(at, 0, 1, 1);
    }
    const end = (text) => {
      const span = document.createElement("span");
      span.textContent = text;
      return span;
    };
    const parts = [end(MapData.number(column.low)), bar, end(MapData.number(column.high))];
    if (column.log) parts.push(end("logarithmic"));
    return parts;
  }

  byId("map-colour").addEventListener("change", (event) => {
    column = data.columns[Number(event.target.value)];
    highlighted = new Set();
    colour();
    legend();
    highlight();
    card(current);
  });

  // ---- the card of one image -------------------------------------------------------------------

  function card(i) {
    const box = byId("map-card");
    current = i;
    box.hidden = i < 0;
    if (i < 0) return;
    const picture = byId("map-card-picture");
    picture.hidden = !pictures.has(i);
    if (!picture.hidden) {
      const side = Math.max(2 * data.tile, 96);
      picture.width = picture.height = side;
      pictures.draw(picture.getContext("2d"), i, 0, 0, side);
    }
    const lines = [["b", data.nameOf(i)]];
    if (picture.hidden) lines.push(["span", "no picture"]);
    for (const one of data.columns.slice(0, 2)) lines.push(["span", MapData.tell(one, i)]);
    const more = data.columns.slice(2, 8).concat(data.columns.indexOf(column) > 7 ? [column] : []);
    for (const one of more) lines.push(["span", `${one.name} ${MapData.tell(one, i)}`]);
    byId("map-card-text").replaceChildren(...lines.map(([tag, text]) => {
      const element = document.createElement(tag);
      element.textContent = text;
      return element;
    }));
    const [x, y] = view.toStage(data.x[i], data.y[i]);
    const right = x + 18 + box.offsetWidth > view.width;
    const left = right ? x - 18 - box.offsetWidth : x + 18;
    box.style.left = Math.max(Math.min(left, view.width - box.offsetWidth - 4), 4) + "px";
    box.style.top = Math.max(Math.min(y - 20, view.height - box.offsetHeight - 4), 4) + "px";
  }

  function say(i) {
    const told = data.columns.slice(0, 3).map((one) => `${one.name} ${MapData.tell(one, i)}`);
    const listed = list.has(i) ? ", in the list" : "";
    byId("map-status").textContent = `${data.nameOf(i)}: ${told.join(", ")}${listed}`;
  }

  // ---- pointer ---------------------------------------------------------------------------------

  const pointers = new Map();
  let moved = 0;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    moved = 0;
    if (lassoing && pointers.size === 1) lasso = [at(event)];
  });

  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      hover(x, y);
      return;
    }
    moved += Math.hypot(x - before[0], y - before[1]);
    if (lasso) {
      lasso.push([x, y]);
      drawOver();
    } else if (pointers.size === 2) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
      const is = Math.hypot(x - other[0], y - other[1]);
      if (was > 0) view.zoomAt(is / was, (x + other[0]) / 2, (y + other[1]) / 2);
      refresh();
    } else {
      view.move(x - before[0], y - before[1]);
      card(-1);
      refresh();
    }
    pointers.set(event.pointerId, [x, y]);
  });

  function lift(event) {
    if (!pointers.delete(event.pointerId)) return;
    const [x, y] = at(event);
    if (lasso) {
      const polygon = lasso.map(([px, py]) => view.toMap(px, py));
      lasso = null;
      if (polygon.length > 2) {
        list.take(MapView.inside(data, polygon, lit), event.shiftKey);
        outline = polygon;
      }
      byId("map-status").textContent = `${list.size.toLocaleString("en")} images in the list`;
      refresh();
    } else if (moved < 4 && event.type === "pointerup") {
      const found = MapView.nearest(data, view, x, y, 12, lit);
      if (found >= 0) list.toggle(found);
    }
  }
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => {
    if (!pointers.size && document.activeElement !== canvas) { card(-1); drawOver(); }
  });

  function hover(x, y) {
    const found = MapView.nearest(data, view, x, y, 12 + radius(), lit);
    if (found === current) return;
    card(found);
    drawOver();
  }

  canvas.addEventListener("wheel", (event) => {
    // Until the map is clicked the wheel belongs to the page.
    if (document.activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    const [x, y] = at(event);
    zoom(Math.exp(-event.deltaY / 300), x, y);
  }, { passive: false });

  function zoom(factor, x = view.width / 2, y = view.height / 2) {
    view.zoomAt(factor, x, y);
    if (current >= 0) card(current);
    refresh();
  }

  // ---- keys and buttons ------------------------------------------------------------------------

  const ARROWS = {
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  };

  function walk(dx, dy) {
    const start = current < 0
      ? MapView.nearest(data, view, view.width / 2, view.height / 2, Infinity, lit)
      : MapView.next(data, current, dx, dy, lit);
    if (start < 0) return;
    const [x, y] = view.toStage(data.x[start], data.y[start]);
    if (x < 20 || y < 20 || x > view.width - 20 || y > view.height - 20) {
      view.show(data.x[start], data.y[start]);
    }
    card(start);
    say(start);
    refresh();
  }

  function setLasso(on) {
    lassoing = on;
    lasso = null;
    byId("map-lasso").setAttribute("aria-pressed", String(on));
    stage.classList.toggle("lassoing", on);
    drawOver();
  }

  canvas.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow && event.shiftKey) {
      view.move(-60 * arrow[0], -60 * arrow[1]);
      if (current >= 0) card(current);
      refresh();
    } else if (arrow) walk(...arrow);
    else if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") reset();
    else if (event.key === "Enter" || event.key === " ") {
      if (current >= 0) { list.toggle(current); say(current); }
    } else if (event.key === "v" || event.key === "V") {
      list.take(inView(data.n).filter((i) => !lit || lit[i]), true);
      byId("map-status").textContent = `${list.size.toLocaleString("en")} images in the list`;
    } else if (event.key === "l" || event.key === "L") setLasso(!lassoing);
    else if (event.key === "Escape") { setLasso(false); card(-1); refresh(); }
    else return;
    event.preventDefault();
  });

  function reset() {
    view.reset();
    if (current >= 0) card(current);
    refresh();
  }
  byId("map-in").addEventListener("click", () => zoom(1.5));
  byId("map-out").addEventListener("click", () => zoom(1 / 1.5));
  byId("map-reset").addEventListener("click", reset);
  byId("map-lasso").addEventListener("click", () => setLasso(!lassoing));

  // ---- size and light --------------------------------------------------------------------------

  function resize() {
    ratio = Math.min(window.devicePixelRatio || 1, 2);
    view.resize(stage.clientWidth, stage.clientHeight);
    for (const one of [canvas, over]) {
      one.width = Math.round(view.width * ratio);
      one.height = Math.round(view.height * ratio);
    }
    card(current);
    refresh();
  }

  function restyle() {
    look = MapColours.theme();
    colour();
    legend();
    refresh();
  }

  byId("map-tool").hidden = false;
  colour();
  legend();
  new ResizeObserver(resize).observe(stage);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
})();
