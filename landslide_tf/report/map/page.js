"use strict";
(() => {
  const view = document.getElementById("view");
  const status = document.getElementById("status");
  const stages = [...view.querySelectorAll(".stage")];
  const size = { w: Number(view.dataset.width), h: Number(view.dataset.height) };
  const at = { x: 0, y: 0, k: 1 };
  const LARGEST = 64;

  const smallest = () => Math.min(
    view.clientWidth / size.w, view.clientHeight / size.h, 1) / 4;

  const ground = {
    transform: JSON.parse(view.dataset.transform),
    digits: Number(view.dataset.digits), metres: Number(view.dataset.metres),
  };
  let pointer = null;

  // The coordinates below the pointer, or in the middle where there is none.
  function locate() {
    const from = pointer ?? { x: view.clientWidth / 2, y: view.clientHeight / 2 };
    const column = (from.x - at.x) / at.k, row = (from.y - at.y) / at.k;
    const [a, b, c, d, e, f] = ground.transform;
    document.getElementById("where").textContent =
      [a * column + b * row + c, d * column + e * row + f]
        .map((value) => value.toFixed(ground.digits)).join(", ");
  }

  function measure() {
    if (!ground.metres) return;
    const bar = document.getElementById("bar");
    const most = 140 / at.k * ground.metres;
    const power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].find((n) => n * power <= most) * power;
    bar.style.width = `${length / ground.metres * at.k}px`;
    const [number, unit] = length < 1000 ? [length, "m"] : [length / 1000, "km"];
    bar.textContent = `${Number(number.toPrecision(1))} ${unit}`;
  }

  function draw() {
    at.k = Math.min(Math.max(at.k, smallest()), LARGEST);
    // Some of the map stays in the frame, or a reader would lose it.
    at.x = Math.min(Math.max(at.x, 40 - size.w * at.k), view.clientWidth - 40);
    at.y = Math.min(Math.max(at.y, 40 - size.h * at.k), view.clientHeight - 40);
    for (const stage of stages) {
      stage.style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.k})`;
      stage.style.setProperty("--scale", at.k);
    }
    view.classList.toggle("sharp", at.k > 1.5);
    view.dataset.scale = at.k.toFixed(4);
    measure();
    locate();
  }

  function show(left, top, right, bottom, share) {
    const w = Math.max(right - left, 1), h = Math.max(bottom - top, 1);
    at.k = Math.min(
      view.clientWidth / w * share, view.clientHeight / h * share, LARGEST / 2);
    at.x = view.clientWidth / 2 - (left + right) / 2 * at.k;
    at.y = view.clientHeight / 2 - (top + bottom) / 2 * at.k;
    draw();
  }

  const fit = () => show(0, 0, size.w, size.h, 1);

  function zoom(factor, x = view.clientWidth / 2, y = view.clientHeight / 2) {
    const before = at.k;
    at.k = Math.min(Math.max(at.k * factor, smallest()), LARGEST);
    at.x = x - (x - at.x) * at.k / before;
    at.y = y - (y - at.y) * at.k / before;
    draw();
  }

  function move(x, y) {
    at.x += x;
    at.y += y;
    draw();
  }

  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = view.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left,
      event.clientY - box.top);
  }, { passive: false });

  view.addEventListener("pointermove", (event) => {
    const box = view.getBoundingClientRect();
    pointer = { x: event.clientX - box.left, y: event.clientY - box.top };
    locate();
  });
  view.addEventListener("pointerleave", () => {
    pointer = null;
    locate();
  });

  // Two fingers zoom, one pointer moves.
  const down = new Map();
  let moved = 0;
  view.addEventListener("pointerdown", (event) => {
    if (!down.size) moved = 0;
    down.set(event.pointerId, event);
  });
  view.addEventListener("pointermove", (event) => {
    const last = down.get(event.pointerId);
    if (!last) return;
    const dx = event.clientX - last.clientX, dy = event.clientY - last.clientY;
    moved += Math.abs(dx) + Math.abs(dy);
    // Captured only once it is a drag: a captured pointer clicks on no polygon.
    if (moved > 3) {
      view.setPointerCapture(event.pointerId);
      view.classList.add("dragging");
    }
    if (down.size === 1) move(dx, dy);
    if (down.size === 2) {
      const other = [...down.values()].find((p) => p.pointerId !== event.pointerId);
      const box = view.getBoundingClientRect();
      const far = (p) => Math.hypot(
        p.clientX - other.clientX, p.clientY - other.clientY) || 1;
      zoom(far(event) / far(last), other.clientX - box.left, other.clientY - box.top);
    }
    down.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    view.addEventListener(name, (event) => {
      down.delete(event.pointerId);
      view.classList.remove("dragging");
    });
  }

  const STEP = 60;
  const keys = {
    ArrowLeft: () => move(STEP, 0), ArrowRight: () => move(-STEP, 0),
    ArrowUp: () => move(0, STEP), ArrowDown: () => move(0, -STEP),
    "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5),
    0: fit, Home: fit,
  };
  view.addEventListener("keydown", (event) => {
    if (!Object.hasOwn(keys, event.key) || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.getElementById("in").addEventListener("click", () => zoom(1.5));
  document.getElementById("out").addEventListener("click", () => zoom(1 / 1.5));
  document.getElementById("fit").addEventListener("click", fit);

  for (const input of document.querySelectorAll(".control input")) {
    const layers = view.querySelectorAll(`.layer[data-kind="${input.dataset.kind}"]`);
    const apply = () => {
      for (const layer of layers) {
        if (input.type === "range") layer.style.opacity = input.value / 100;
        else layer.toggleAttribute("hidden", !input.checked);
      }
    };
    input.addEventListener("input", apply);
    apply();
  }

  const swipe = document.getElementById("swipe");
  if (swipe) {
    const apply = () => {
      document.getElementById("pane-0").style.clipPath =
        `inset(0 ${100 - swipe.value}% 0 0)`;
      document.getElementById("pane-1").style.clipPath =
        `inset(0 0 0 ${swipe.value}%)`;
      document.getElementById("divider").style.left = `${swipe.value}%`;
    };
    swipe.addEventListener("input", apply);
    apply();
  }

  const table = document.getElementById("objects");
  const rows = table ? [...table.tBodies[0].rows] : [];

  function choose(number, zoomed) {
    for (const found of document.querySelectorAll(".chosen")) {
      found.classList.remove("chosen");
    }
    const path = view.querySelector(`path[data-object="${number}"]`);
    const row = rows.find((r) => r.dataset.object === number);
    path.classList.add("chosen");
    row.classList.add("chosen");
    if (zoomed) {
      show(...JSON.parse(row.dataset.box), 0.5);
      view.scrollIntoView({ block: "nearest" });
    } else row.scrollIntoView({ block: "nearest" });
    const cells = [...row.cells].slice(1).map((cell, k) => {
      const head = table.tHead.rows[0].cells[k + 1].textContent;
      return `${head} ${cell.textContent}`;
    });
    status.textContent = `Object ${row.cells[0].textContent}: ${cells.join("; ")}`;
  }

  for (const row of rows) {
    row.addEventListener("click", () => choose(row.dataset.object, true));
  }
  view.addEventListener("click", (event) => {
    const path = event.target.closest("path[data-object]");
    if (path && moved <= 3) choose(path.dataset.object, false);
  });

  function order(a, b, column) {
    const [x, y] = [a, b].map((row) => row.cells[column].dataset.value);
    const [p, q] = [Number(x), Number(y)];
    // What has no value comes last either way up.
    const [lostX, lostY] = [x, y].map((v) => v === "" || v === "nan");
    if (lostX || lostY) return { lost: Number(lostX) - Number(lostY) };
    if (Number.isNaN(p) || Number.isNaN(q)) return { by: x.localeCompare(y) };
    return { by: p - q };
  }

  for (const button of table ? table.tHead.querySelectorAll("button") : []) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const column = Number(button.dataset.column);
      rows.sort((a, b) => {
        const found = order(a, b, column);
        return found.lost ?? (down ? -found.by : found.by);
      });
      table.tBodies[0].append(...rows);
      status.textContent =
        `Sorted by ${button.textContent}, ${down ? "largest" : "smallest"} first`;
    });
  }

  new ResizeObserver(draw).observe(view);
  fit();
})();
