  // What is seen: moving, zooming, fitting; everything else is told by `onDraw`.
  const view = document.getElementById("view");
  const status = document.getElementById("status");
  const stages = [...view.querySelectorAll(".stage")];
  const size = { w: Number(view.dataset.width), h: Number(view.dataset.height) };
  const at = { x: 0, y: 0, k: 1 };
  const onDraw = [];
  const LARGEST = 64;
  let fitted = true;  // until a reader moves: then a frame of another size fits anew

  view.style.setProperty("--aspect", size.w / size.h);
  const frame = () => ({ w: view.clientWidth, h: view.clientHeight });
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const smallest = () => Math.min(frame().w / size.w, frame().h / size.h, 1) / 4;
  const middle = () => ({
    column: (frame().w / 2 - at.x) / at.k, row: (frame().h / 2 - at.y) / at.k,
  });

  function draw() {
    const { w, h } = frame();
    if (!w || !h) return;  // not laid out: the observer below calls again
    at.k = clamp(at.k, smallest(), LARGEST);
    // Some of the map stays in the frame, or a reader would lose it.
    at.x = clamp(at.x, 40 - size.w * at.k, w - 40);
    at.y = clamp(at.y, 40 - size.h * at.k, h - 40);
    for (const stage of stages) {
      stage.style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.k})`;
      stage.style.setProperty("--scale", at.k);
    }
    view.classList.toggle("sharp", at.k > 1.5);
    view.dataset.scale = at.k.toFixed(4);
    for (const told of onDraw) told();
  }

  // Brings a place of the overview into the middle.
  function centre(column, row, k) {
    if (!frame().w || !frame().h) return;
    fitted = false;
    at.k = clamp(k, smallest(), LARGEST);
    at.x = frame().w / 2 - column * at.k;
    at.y = frame().h / 2 - row * at.k;
    draw();
  }

  function show(left, top, right, bottom, share) {
    const w = Math.max(right - left, 1), h = Math.max(bottom - top, 1);
    const k = Math.min(frame().w / w, frame().h / h) * share;
    centre((left + right) / 2, (top + bottom) / 2, Math.min(k, LARGEST / 2));
  }

  function fit() {
    show(0, 0, size.w, size.h, 1);
    fitted = true;
  }

  function zoom(factor, x = frame().w / 2, y = frame().h / 2) {
    const before = at.k;
    fitted = false;
    at.k = clamp(at.k * factor, smallest(), LARGEST);
    at.x = x - (x - at.x) * at.k / before;
    at.y = y - (y - at.y) * at.k / before;
    draw();
  }

  function move(x, y) {
    fitted = false;
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
    say();
  });
  for (const [id, act] of [
    ["in", () => zoom(1.5)], ["out", () => zoom(1 / 1.5)], ["fit", fit],
  ]) {
    document.getElementById(id).addEventListener("click", () => {
      act();
      say();
    });
  }

  new ResizeObserver(() => fitted ? fit() : draw()).observe(view);

  // Paper has its own size: what is seen on the screen is fitted into that.
  let before = null;
  addEventListener("beforeprint", () => {
    const { w, h } = frame(), { column, row } = middle();
    before = { column, row, k: at.k, fitted };
    document.documentElement.classList.add("printed");
    const paper = frame();
    centre(column, row, at.k * Math.min(paper.w / w, paper.h / h));
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printed");
    if (!before) return;
    centre(before.column, before.row, before.k);
    fitted = before.fitted;
    before = null;
  });
