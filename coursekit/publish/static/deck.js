// Typeset, fit every slide into 1280 × 720, then start reveal.js: in this order, so that a slide
// that is jumped to has the layout of one that is stepped to.
(() => {
  const WIDTH = 1280, HEIGHT = 720;
  const ROOM = HEIGHT - 76; // padding of .body, and the line of progress and number
  const SIZES = [30, 28, 26, 24, 22, 20]; // px of 720; what is still too high is divided
  const LEAST = 18; // of tables and printed output: 1/40 of the height
  const SMALLEST_FIGURE = 330; // where it does not say how small its text is

  const body = (section) => section.querySelector(":scope > .body");
  const figures = (section) => [...section.querySelectorAll(".figure img, .figure svg")];
  const wide = (section) => [...section.querySelectorAll("table, pre, mjx-container[display]")];

  // not scrollHeight: a hidden twin of each formula, for screen readers, hangs over the edge
  const tall = (section) => body(section).getBoundingClientRect().height;

  function overflows(section) {
    return tall(section) > ROOM + 1;
  }

  function narrow(section) { // what is wider than the slide is made smaller, down to LEAST
    const room = body(section).clientWidth;
    for (const element of wide(section)) {
      element.style.fontSize = "";
      const width = () => Math.max(element.scrollWidth, element.getBoundingClientRect().width);
      const size = parseFloat(getComputedStyle(element).fontSize);
      if (width() > room + 1) {
        const least = element.matches("mjx-container") ? 12 : LEAST;
        element.style.fontSize = Math.max(least, Math.floor((size * room) / width())) + "px";
      }
    }
  }

  function enough(figure) { // so high that its smallest text is LEAST; plots.show sees to it
    const { smallest } = figure.dataset;
    return smallest > 0 ? LEAST / smallest : SMALLEST_FIGURE;
  }

  function enlarge(section) { // figures take the height that the text leaves
    const all = figures(section);
    if (!all.length) return;
    all.forEach((figure) => (figure.style.height = "0px"));
    const left = (ROOM - tall(section)) / all.length - 4;
    all.forEach((figure) => (figure.style.height = Math.max(left, enough(figure)) + "px"));
  }

  function fitsAt(section, size) {
    section.style.fontSize = size + "px";
    narrow(section);
    enlarge(section);
    return !overflows(section);
  }

  // The blocks of a slide in order: the children of its steps; a long table or text is two blocks.
  const blocks = (section) => [...body(section).querySelectorAll(":scope > .step > *")];

  const isHeading = (block) => /^H\d$/.test(block.tagName);
  // A line that leads to the next block, and what is nothing without the block before.
  const leads = (block) => isHeading(block) || (block.matches("p") && /:\s*$/.test(block.textContent));
  const follows = (block) => block.matches("pre.output, div.table, .verified, .live");

  function divide(section) { // the last blocks that do not fit go to a new slide; returns it
    const all = blocks(section);
    const next = section.cloneNode(true);
    const copies = blocks(next);
    let keep = all.length;
    const hide = (n) => all.forEach((block, k) => (block.style.display = k < n ? "" : "none"));
    do hide(--keep);
    while (keep > 1 && !fitsAt(section, 24) && !(keep <= 2 && fitsAt(section, 20)));
    let earlier = keep;
    while (earlier > 1 && (leads(all[earlier - 1]) || follows(all[earlier]))) earlier--;
    if (!isHeading(all[earlier - 1])) keep = earlier;
    hide(all.length);
    while (keep < all.length && all.slice(0, keep).every(isHeading)) keep++;
    if (keep < 1 || keep >= all.length) return null;
    // a long table does not leave its heading alone: it is two tables
    hide(keep);
    const left = tall(section);
    hide(all.length);
    if (left < 0.4 * ROOM && halve(all[keep])) return section;
    all.slice(keep).forEach((block) => block.remove());
    copies.slice(0, keep).forEach((block) => block.remove());
    for (const part of [section, next])
      part.querySelectorAll(":scope > .body > .step").forEach((step) => {
        if (!step.children.length) step.remove();
      });
    repeat(section, next);
    body(next).querySelector(".step")?.classList.remove("fragment");
    const title = body(section).querySelector("h1, h2, h3, h6");
    if (title && !body(next).querySelector("h1, h2, h3, h6")) {
      const over = document.createElement("h6"); // where one is, on the slide that goes on
      over.innerHTML = title.innerHTML;
      body(next).querySelector(".step")?.prepend(over);
    }
    next.id = section.id.replace(/(~(\d+))?$/, (_, __, n) => "~" + (Number(n || 1) + 1));
    section.after(next);
    return next;
  }

  function repeat(section, next) { // a claim whose sentence stays behind says it again
    for (const head of next.querySelectorAll("table.verified th")) {
      const name = head.textContent.match(/Claim [\d.]+/)?.[0];
      const said = (part) => [...part.querySelectorAll(".step > p")]
        .find((p) => name && p.textContent.startsWith(name + "."));
      if (!said(section) || said(next)) continue;
      const again = said(section).cloneNode(true);
      again.querySelector("strong").remove();
      head.nextElementSibling.prepend(again);
    }
  }

  function halve(block) { // a table or a list that is too high becomes two; false where it cannot
    const table = block?.matches("table") ? block : block?.querySelector("table");
    const rows = table ? [...table.tBodies[0].rows] : [];
    const list = block?.matches("ul, ol") ? [...block.children] : [];
    const parts = rows.length > 3 ? rows : list;
    if (parts.length < 2) return false;
    const copy = block.cloneNode(true);
    const copied = rows.length > 3
      ? [...(copy.matches("table") ? copy : copy.querySelector("table")).tBodies[0].rows]
      : [...copy.children];
    const middle = Math.ceil(parts.length / 2);
    parts.slice(middle).forEach((part) => part.remove());
    copied.slice(0, middle).forEach((part) => part.remove());
    if (copy.matches("ol")) copy.start = (block.start || 1) + middle;
    block.after(copy);
    return true;
  }

  function fit(section) {
    const sizes = SIZES.filter((size) => size <= (figures(section).length ? 24 : 30));
    if (sizes.some((size) => fitsAt(section, size))) return;
    const next = divide(section);
    const last = blocks(section).filter((block) => !isHeading(block)).at(-1);
    if (next) {
      fit(section);
      if (next !== section) fit(next);
    } else if (last && halve(last)) {
      fit(section);
    } else {
      for (let size = 19; size >= LEAST && !fitsAt(section, size); size--);
    }
  }

  async function start() {
    await MathJax.startup.promise;
    await document.fonts.ready;
    const loaded = (image) => image.complete // decode() never ends where a browser prints a file
      || new Promise((done) => (image.onload = image.onerror = done));
    await Promise.all([...document.images].map(loaded));
    document.documentElement.classList.add("measuring");
    document.querySelectorAll(".slides > section > section").forEach(fit);
    document.documentElement.classList.remove("measuring");
    if (location.search.includes("print-pdf")) { // a slide a page, all steps; no reveal.js
      document.documentElement.classList.add("paper", "print-pdf", "ready");
      return;
    }
    await Reveal.initialize({
      width: WIDTH,
      height: HEIGHT,
      margin: 0,
      center: false,
      hash: true,
      transition: "none",
      slideNumber: "c/t",
      pdfSeparateFragments: false,
      plugins: [RevealNotes],
    });
    document.documentElement.classList.add("ready");
  }

  start();
})();
