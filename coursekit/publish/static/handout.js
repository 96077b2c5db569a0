// The paper, and what is wider than it: typeset first, then made narrower; a card fits one page.
(() => {
  const letter = location.search.includes("letter");
  const paper = letter ? [215.9, 279.4] : [210, 297]; // mm
  const px = 96 / 25.4;
  if (letter) {
    const style = document.createElement("style");
    style.textContent = "@page { size: letter; }";
    document.addEventListener("DOMContentLoaded", () => document.head.append(style));
  }

  function narrow() {
    const room = document.querySelector("main").clientWidth;
    const wide = "mjx-container[display], table, li mjx-container, p mjx-container";
    for (const element of document.querySelectorAll(wide)) {
      const width = Math.max(element.scrollWidth, element.getBoundingClientRect().width);
      const free = element.closest("li, td") ? element.parentElement.clientWidth : room;
      if (width > free + 1 && free > 0) {
        const size = parseFloat(getComputedStyle(element).fontSize);
        element.style.fontSize = (size * free) / width + "px";
      }
    }
  }

  function fitCard() {
    const main = document.querySelector("main");
    main.style.cssText = `width: ${(paper[0] - 2 * 16) * px}px; columns: 2`;
    const room = (paper[1] - 17 - 18) * px - 12;
    const column = (main.clientWidth - parseFloat(getComputedStyle(main).columnGap)) / 2;
    const isWide = (part) => { // of a table in two columns, each rectangle
      const width = Math.max(...[...part.getClientRects()].map((box) => box.width));
      return width > (part.closest("li")?.clientWidth ?? column) + 1;
    };
    for (let size = 14; size > 6; size -= 0.1) { // the largest that fits, in height and in width
      document.body.style.fontSize = size + "pt";
      const parts = [...main.querySelectorAll("table, mjx-container")];
      if (main.scrollHeight <= room && !parts.some(isWide)) break;
    }
    main.style.cssText = ""; // on a phone: one column
  }

  document.addEventListener("DOMContentLoaded", async () => {
    while (!window.MathJax?.startup?.promise) await new Promise((wait) => setTimeout(wait, 20));
    await MathJax.startup.promise;
    await document.fonts.ready;
    if (document.body.classList.contains("card")) fitCard();
    else {
      document.querySelector("main").style.width = (paper[0] - 2 * 16) * px + "px";
      narrow();
      document.querySelector("main").style.width = "";
    }
    document.documentElement.classList.add("ready");
  });
})();
