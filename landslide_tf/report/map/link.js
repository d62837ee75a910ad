  // The address of the page holds the view: middle, zoom, layers, threshold, polygon.
  let writing = 0;

  function fragment() {
    const { column, row } = middle();
    const fine = ground.digits + 2, found = {};
    if (!fitted) {
      found.at = coordinates(column, row).map((v) => v.toFixed(fine)).join(",");
      found.zoom = at.k.toFixed(4);
    }
    found.layers = switches.filter((input) => input.checked).map((input) => {
      const { kind } = input.dataset;
      return `${kind}:${opacities.find((o) => o.dataset.kind === kind).value}`;
    }).join(",");
    if (swipe) found.swipe = swipe.value;
    if (threshold) found.threshold = threshold.value;
    if (only?.checked) found.only = 1;
    if (chosen !== null) found.object = chosen;
    return `#${Object.entries(found).map((pair) => pair.join("=")).join("&")}`;
  }

  function save() {
    clearTimeout(writing);
    writing = setTimeout(() => {
      try { history.replaceState(null, "", fragment()); } catch { /* a sandbox */ }
    }, 200);
  }

  // Whatever stands in the address, only numbers in range and known layers are taken.
  function restore() {
    const given = new URLSearchParams(location.hash.slice(1));
    const numbers = (name) => (given.get(name) ?? "").split(",").map(
      (text) => text.trim() === "" ? NaN : Number(text));
    const layers = given.get("layers");
    if (layers !== null) {
      const wanted = new Map(layers.split(",").map((part) => part.split(":")));
      for (const input of switches) input.checked = wanted.has(input.dataset.kind);
      for (const input of opacities) {
        const value = Number(wanted.get(input.dataset.kind) ?? NaN);
        if (value >= 0 && value <= 100) input.value = value;
      }
      applyLayers();
    }
    for (const [name, input, apply] of [
      ["swipe", swipe, applySwipe], ["threshold", threshold, applyThreshold],
    ]) {
      const [value] = numbers(name);
      if (!input || !Number.isFinite(value)) continue;
      input.value = value;
      apply();
    }
    if (only && given.has("threshold")) {
      only.checked = given.get("only") === "1";
      applyThreshold();
    }
    if (given.has("object")) choose(given.get("object"), "mark");
    else letGo();
    const [x, y] = numbers("at"), [k] = numbers("zoom");
    if (![x, y, k].every(Number.isFinite) || k <= 0) return false;
    const { column, row } = cellOf(x, y);
    centre(column, row, k);
    return true;
  }

  const copy = document.getElementById("copy");
  copy.addEventListener("click", async () => {
    const address = location.href.replace(/#.*/, "") + fragment();
    try {
      await navigator.clipboard.writeText(address);
      status.textContent = "The link to this view is copied.";
    } catch {
      history.replaceState(null, "", fragment());
      status.textContent = "The address of the page is the link to this view.";
    }
  });

  if (!restore()) fit();
  onChange.push(save);
  for (const name of ["wheel", "pointerup", "keydown", "click"]) {
    view.parentNode.addEventListener(name, save);
  }
  // An address without layers is a place of the page, such as a heading.
  addEventListener("hashchange", () => {
    if (location.hash.includes("layers=") && !restore()) fit();
  });
