  // Where things are: coordinates, degrees, the way north and lengths on the ground.
  const ground = {
    transform: JSON.parse(view.dataset.transform), digits: Number(view.dataset.digits),
    metres: Number(view.dataset.metres), north: view.dataset.north === "grid",
    degrees: view.dataset.degrees, nodes: JSON.parse(view.dataset.nodes ?? "null"),
  };
  const WGS84 = { a: 6378137, e2: 0.00669437999014 };
  let pointer = null;

  function coordinates(column, row) {
    const [a, b, c, d, e, f] = ground.transform;
    return [a * column + b * row + c, d * column + e * row + f];
  }

  function cellOf(x, y) {
    const [a, b, c, d, e, f] = ground.transform, whole = a * e - b * d;
    return {
      column: (e * (x - c) - b * (y - f)) / whole,
      row: (a * (y - f) - d * (x - c)) / whole,
    };
  }

  // The direction of the plumb line, which knows neither poles nor the antimeridian.
  function normal(column, row) {
    if (!ground.nodes) {
      const [lon, lat] = coordinates(column, row).map((v) => v * Math.PI / 180);
      return [Math.cos(lat) * Math.cos(lon), Math.cos(lat) * Math.sin(lon),
        Math.sin(lat)];
    }
    const fields = ground.nodes.length - 1;
    const x = column / size.w * fields, y = row / size.h * fields;
    const i = clamp(Math.floor(y), 0, fields - 1), p = y - i;
    const j = clamp(Math.floor(x), 0, fields - 1), q = x - j;
    const v = [0, 1, 2].map((k) =>
      (ground.nodes[i][j][k] * (1 - q) + ground.nodes[i][j + 1][k] * q) * (1 - p) +
      (ground.nodes[i + 1][j][k] * (1 - q) + ground.nodes[i + 1][j + 1][k] * q) * p);
    const length = Math.hypot(...v);
    return v.map((part) => part / length);
  }

  function degreesAt(column, row) {
    const inside = column >= 0 && row >= 0 && column <= size.w && row <= size.h;
    if (!inside) return "outside of the map";
    const [x, y, z] = normal(column, row), digits = Number(ground.degrees);
    const lat = Math.atan2(z, Math.hypot(x, y)) * 180 / Math.PI;
    const lon = Math.atan2(y, x) * 180 / Math.PI;
    const text = (v, names) => `${Math.abs(v).toFixed(digits)}° ${names[Number(v < 0)]}`;
    return `${text(lat, "NS")}, ${text(lon, "EW")}`;
  }

  // The coordinates below the pointer, or in the middle where there is none.
  function locate() {
    const { column, row } = pointer ? {
      column: (pointer.x - at.x) / at.k, row: (pointer.y - at.y) / at.k,
    } : middle();
    document.getElementById("of").textContent = pointer ? "Pointer" : "Middle";
    document.getElementById("where").textContent =
      coordinates(column, row).map((v) => v.toFixed(ground.digits)).join(", ");
    const degrees = document.getElementById("degrees");
    if (degrees) degrees.textContent = degreesAt(column, row);
  }

  // Metres to the east and to the north by which a column and a row lead on, near the
  // middle of what is seen; null where nothing is known of the globe or at a pole.
  function steps() {
    if (ground.degrees === undefined) return null;
    const { column, row } = middle();
    const c = clamp(column, 0.5, Math.max(size.w - 0.5, 0.5));
    const r = clamp(row, 0.5, Math.max(size.h - 0.5, 0.5));
    const [x, y, z] = normal(c, r), across = Math.hypot(x, y);
    const curved = 1 - WGS84.e2 * z * z, wide = WGS84.a / Math.sqrt(curved);
    const high = wide * (1 - WGS84.e2) / curved;
    if (across * high < 1) return null;
    const [along, up] = [[0.5, 0], [0, 0.5]].map(([dc, dr]) => {
      const one = normal(c + dc, r + dr), other = normal(c - dc, r - dr);
      const d = one.map((v, k) => v - other[k]);
      return [(-y * d[0] + x * d[1]) / across * wide,
        (-z * (x * d[0] + y * d[1]) / across + across * d[2]) * high];
    });
    return { along, up };
  }

  function measure(found) {
    const metres = found ? Math.hypot(...found.along) : ground.metres;
    const bar = document.getElementById("bar");
    bar.hidden = !metres;
    if (!metres) return;
    const most = 140 / at.k * metres;
    const power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].find((n) => n * power <= most) * power;
    bar.style.width = `${length / metres * at.k}px`;
    const [number, unit] = length < 1000 ? [length, "m"] : [length / 1000, "km"];
    bar.textContent = `${Number(number.toPrecision(1))} ${unit}`;
  }

  // Which way on the screen leads north: along the meridian, else up the second axis.
  function orient(found) {
    const arrow = document.getElementById("north");
    const [a, b, , d, e] = ground.transform;
    let way = null;
    if (found) {
      const { along: [p, q], up: [r, s] } = found, whole = p * s - r * q;
      way = [-r / whole, p / whole];
    } else if (ground.north && ground.degrees === undefined) {
      const whole = a * e - b * d;
      way = [-b / whole, a / whole];
    }
    arrow.toggleAttribute("hidden", !way);
    if (!way) return;
    const turn = Math.atan2(way[0], -way[1]) * 180 / Math.PI;
    const name = found ? "North" : "Grid north";
    arrow.dataset.turn = turn.toFixed(2);
    arrow.querySelector("g").setAttribute("transform", `rotate(${turn})`);
    arrow.querySelector("title").textContent = name;
    const aside = Math.round(turn);
    arrow.setAttribute("aria-label", aside === 0 ? `${name} is up` :
      `${name} is ${Math.abs(aside)}° to the ${aside > 0 ? "right" : "left"} of up`);
  }

  onDraw.push(() => {
    const found = steps();
    measure(found);
    orient(found);
    locate();
  });

  view.addEventListener("pointermove", (event) => {
    const box = view.getBoundingClientRect();
    const aside = { x: view.clientLeft, y: view.clientTop };
    pointer = {
      x: event.clientX - box.left - aside.x, y: event.clientY - box.top - aside.y,
    };
    locate();
  });
  view.addEventListener("pointerleave", () => {
    pointer = null;
    locate();
  });

  // What is seen, said to those who do not see it, once the keys rest.
  let saying = 0;
  function say() {
    clearTimeout(saying);
    saying = setTimeout(() => {
      const { column, row } = middle();
      const place = ground.degrees === undefined ?
        coordinates(column, row).map((v) => v.toFixed(ground.digits)).join(", ") :
        degreesAt(column, row);
      const bar = document.getElementById("bar");
      const metres = Number.parseFloat(bar.style.width) || 1;
      const wide = bar.hidden ? "" :
        `; ${bar.textContent} are ${Math.round(100 * metres / frame().w)} % of the width`;
      status.textContent = `Middle of the view: ${place}${wide}`;
    }, 500);
  }
