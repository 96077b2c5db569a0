// What is wider than its place scrolls; so that a keyboard can scroll it, too, it takes the focus.
function scrollable() {
  for (const box of document.querySelectorAll("pre, div.math, .math-wrapper, .table-wrapper, .cell_output")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", scrollable);
addEventListener("resize", scrollable);
