// What is wider than its place scrolls; so that a keyboard can scroll it, too, it takes the focus.
function scrollable() {
  for (const box of document.querySelectorAll("pre, div.math, .math-wrapper, .table-wrapper, .cell_output")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", scrollable);
addEventListener("resize", scrollable);

// MathJax makes a page longer after the browser has gone to the place that its address names: go
// there again, unless the reader has moved on meanwhile.
let moved = false;
for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"])
  addEventListener(kind, () => (moved = true), { once: true, passive: true });
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (place && !moved) place.scrollIntoView({ behavior: "instant" });
});
