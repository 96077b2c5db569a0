// MathJax: SVG, so that no font is loaded and print is sharp; no menu, nothing fetched.
window.MathJax = {
  tex: { inlineMath: [["$", "$"], ["\\(", "\\)"]], processEscapes: true },
  svg: { fontCache: "local", scale: 0.9 },
  options: { enableMenu: false },
  startup: { typeset: true },
};
