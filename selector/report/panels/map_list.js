/* The list that the lasso fills: shown as pictures, copied or saved as keys or as a table. */
const MapList = (() => {
  const SHOWN = 96;
  const byId = (id) => document.getElementById(id);

  function make(data, pictures, onChange) {
    const chosen = new Set();

    /** Keys that hold a line break, and all of a page that leaves keys out, go by their row_id. */
    const line = (i) =>
      data.keys && !/[\r\n]/.test(data.keys[i]) ? data.keys[i] : data.rowIds[i];
    const cell = (text) => (/[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);

    function table() {
      const head = ["row_id", "key", ...data.columns.map((column) => column.name)];
      const value = (column, i) => {
        if (column.kind === "category") {
          return column.codes[i] === MapData.NOTHING ? "" : column.names[column.codes[i]];
        }
        return Number.isFinite(column.values[i]) ? String(column.values[i]) : "";
      };
      const rows = [...chosen].map((i) =>
        [data.rowIds[i], data.nameOf(i), ...data.columns.map((column) => value(column, i))]);
      return [head, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
    }

    function save(text, name) {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }

    async function copy() {
      const text = [...chosen].map(line).join("\n") + "\n";
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        // A browser without that right for files: the old way, through a selected text.
        const area = document.createElement("textarea");
        area.value = text;
        area.className = "unseen";
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      byId("map-done").textContent = `copied ${chosen.size.toLocaleString("en")} keys`;
    }

    function picture(i) {
      const canvas = document.createElement("canvas");
      const side = Math.max(data.tile, 48);
      canvas.width = canvas.height = side;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", data.nameOf(i));
      pictures.draw(canvas.getContext("2d"), i, 0, 0, side);
      return canvas;
    }

    function show() {
      byId("map-list").hidden = chosen.size === 0;
      byId("map-count").textContent = chosen.size.toLocaleString("en");
      byId("map-done").textContent = "";
      const items = [...chosen].slice(0, SHOWN).map((i) => {
        const item = document.createElement("li");
        item.title = data.nameOf(i);
        const name = document.createElement("span");
        name.textContent = data.nameOf(i);
        item.append(picture(i), name);
        return item;
      });
      if (chosen.size > SHOWN) {
        const more = document.createElement("li");
        more.className = "map-more";
        more.textContent = `and ${(chosen.size - SHOWN).toLocaleString("en")} more`;
        items.push(more);
      }
      byId("map-chosen").replaceChildren(...items);
    }

    const changed = () => { show(); onChange(); };
    byId("map-copy").addEventListener("click", copy);
    byId("map-save").addEventListener("click", () =>
      save([...chosen].map(line).join("\n") + "\n", "keys.txt"));
    byId("map-save-table").addEventListener("click", () => save(table(), "images.csv"));
    byId("map-clear").addEventListener("click", () => { chosen.clear(); changed(); });

    return {
      has: (i) => chosen.has(i),
      get size() { return chosen.size; },
      members: () => chosen,
      toggle(i) { if (!chosen.delete(i)) chosen.add(i); changed(); },
      take(points, add) {
        if (!add) chosen.clear();
        for (const i of points) chosen.add(i);
        changed();
      },
      redraw: show,
    };
  }

  return { make };
})();
