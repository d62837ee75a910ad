  // Layers, their opacity, the swipe between two dates, the colours of the page.
  const inputs = [...document.querySelectorAll(".control input")];
  const switches = inputs.filter((input) => input.type === "checkbox");
  const opacities = inputs.filter((input) => input.type === "range");
  const swipe = document.getElementById("swipe");
  const onChange = [];

  function applyLayers() {
    for (const input of inputs) {
      const kind = input.dataset.kind;
      for (const layer of view.querySelectorAll(`.layer[data-kind="${kind}"]`)) {
        if (input.type === "range") layer.style.opacity = input.value / 100;
        else layer.toggleAttribute("hidden", !input.checked);
      }
    }
  }

  function applySwipe() {
    if (!swipe) return;
    document.getElementById("pane-0").style.clipPath =
      `inset(0 ${100 - swipe.value}% 0 0)`;
    document.getElementById("pane-1").style.clipPath = `inset(0 0 0 ${swipe.value}%)`;
    document.getElementById("divider").style.left = `${swipe.value}%`;
  }

  function whenUsed(input, act) {
    input.addEventListener("input", () => {
      act();
      for (const told of onChange) told();
    });
  }
  for (const input of inputs) whenUsed(input, applyLayers);
  if (swipe) whenUsed(swipe, applySwipe);
  applyLayers();
  applySwipe();

  // A browser may refuse to remember anything of a file.
  const remember = (act) => {
    try { return act(localStorage); } catch { return null; }
  };
  const themes = [...document.querySelectorAll("input[name=theme]")];
  const known = remember((store) => store.getItem("theme"));
  for (const theme of themes) {
    if (theme.value === known) theme.checked = true;
    theme.addEventListener("change", () => {
      remember((store) => store.setItem("theme", theme.value));
    });
  }
