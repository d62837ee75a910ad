  // The threshold of the probability: which polygons and how much ground it leaves.
  const threshold = document.getElementById("threshold");
  const only = document.getElementById("only");
  const STATES = { above: 3, partly: 2, below: 1, unknown: "" };
  const WORDS = { above: "above", partly: "in part", below: "below", unknown: "–" };

  function stateOf([mean, most], limit) {
    if (mean === null) return "unknown";
    if (mean >= limit) return "above";
    return most !== null && most >= limit ? "partly" : "below";
  }

  const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 3 });
  const areaText = (area) => area < 1e5 ?
    `${plain.format(Math.round(area))} m²` : `${plain.format(area / 1e6)} km²`;

  function applyThreshold() {
    if (!threshold) return;
    const limit = Number(threshold.value), said = [];
    document.getElementById("now").textContent = limit.toFixed(2);
    for (const dim of document.querySelectorAll(".dim")) {
      dim.setAttribute("width", 100 * limit);
    }
    const of = { above: 0, partly: 0, below: 0, unknown: 0 };
    let area = 0;
    counted.forEach(({ row, path, known }) => {
      const state = stateOf(known, limit), cell = row.querySelector(".state");
      of[state] += 1;
      if (state === "above") area += known[2] ?? 0;
      path.dataset.state = state;
      row.dataset.state = state;
      if (cell) {
        cell.textContent = WORDS[state];
        cell.dataset.value = STATES[state];
      }
      for (const part of [row, path]) {
        part.toggleAttribute("hidden", only?.checked && state === "below");
      }
    });
    if (only) {
      const more = area ? `, ${areaText(area)}` : "";
      const all = `${rows.length} polygon${rows.length === 1 ? "" : "s"}`;
      said.push(`${of.above} of ${all} at or above${more}`);
      if (of.partly) said.push(`${of.partly} in part`);
      if (of.unknown) said.push(`${of.unknown} not known`);
    }
    const cells = document.getElementById("cells");
    if (cells) {
      const counts = JSON.parse(cells.dataset.counts), all = sum(counts) || 1;
      const left = sum(counts.slice(Math.round(limit * (counts.length - 1))));
      said.push(`${(100 * left / all).toFixed(2)} % of the cells at or above`);
    }
    document.getElementById("left").textContent = `${said.join("; ")}.`;
  }

  const sum = (numbers) => numbers.reduce((one, other) => one + other, 0);
  const counted = rows.map((row) => (
    { row, path: pathOf(row), known: JSON.parse(row.dataset.known) }));
  if (threshold) {
    whenUsed(threshold, applyThreshold);
    if (only) whenUsed(only, applyThreshold);
    document.getElementById("reset").addEventListener("click", () => {
      threshold.value = threshold.dataset.map;
      threshold.dispatchEvent(new Event("input"));
    });
    // The nearest step may lie above the map's own threshold: its polygons stay above.
    const own = Math.floor(Number(threshold.dataset.map) * 100) / 100;
    threshold.value = threshold.dataset.map = own;
    applyThreshold();
  }
