  // The table of polygons: choosing one, sorting.
  const table = document.getElementById("objects");
  const rows = table ? [...table.tBodies[0].rows] : [];
  const pathOf = (row) => view.querySelector(`path[data-object="${row.dataset.object}"]`);
  let chosen = null;

  function letGo() {
    for (const found of document.querySelectorAll(".chosen")) {
      found.classList.remove("chosen");
    }
    chosen = null;
  }

  function choose(number, how) {
    letGo();
    const row = rows.find((r) => r.dataset.object === number);
    if (!row) return;
    const path = pathOf(row);
    chosen = number;
    path.classList.add("chosen");
    path.parentNode.append(path);  // above its neighbours
    row.classList.add("chosen");
    if (how === "zoom") {
      show(...JSON.parse(row.dataset.box), 0.5);
      view.scrollIntoView({ block: "nearest" });
    } else if (how === "list") row.scrollIntoView({ block: "nearest" });
    const cells = [...row.cells].slice(1).map((cell, k) => {
      const head = table.tHead.rows[0].cells[k + 1].textContent;
      return `${head} ${cell.textContent}`;
    });
    status.textContent = `Object ${row.cells[0].textContent}: ${cells.join("; ")}`;
    for (const told of onChange) told();
  }

  for (const row of rows) {
    row.addEventListener("click", () => choose(row.dataset.object, "zoom"));
  }
  view.addEventListener("click", (event) => {
    const path = event.target.closest("path[data-object]");
    if (path && moved <= 3) choose(path.dataset.object, "list");
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || chosen === null) return;
    letGo();
    status.textContent = "";
    for (const told of onChange) told();
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
      const falling = head.getAttribute("aria-sort") !== "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const column = Number(button.dataset.column);
      rows.sort((a, b) => {
        const found = order(a, b, column);
        return found.lost ?? (falling ? -found.by : found.by);
      });
      table.tBodies[0].append(...rows);
      status.textContent =
        `Sorted by ${button.textContent}, ${falling ? "largest" : "smallest"} first`;
    });
  }
