// What the tests ask of the page itself.

/** The visible control of this name, in the dialog if one is open. */
function named(name) {
  const place = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document;
  const names = (e) => [e.getAttribute("aria-label"), e.labels?.[0]?.textContent, e.textContent]
    .map((said) => said?.trim());
  return [...place.querySelectorAll("button, a, input, select, summary")]
    .find((e) => e.checkVisibility() && names(e).includes(name));
}

/** How much there is, how much fits, and what sticks out of the window. */
function fit() {
  const view = document.scrollingElement;
  const out = ({ left, top, right, bottom }) =>
    left < 0 || top < 0 || right > innerWidth || bottom > innerHeight;
  const parts = [...document.querySelectorAll(".panel, .tile, header > :not(.skip)")];
  const outside = parts.filter((e) => out(e.getBoundingClientRect())).map((e) => e.className);
  return [[view.scrollWidth, view.scrollHeight], [innerWidth, innerHeight], outside];
}

/** Texts whose contrast with what is behind them is below that of WCAG 2.2 (1.4.3), with the ratio. */
function pale() {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = () => {
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paint = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
  };
  const contrast = (node) => {
    const grounds = [];
    for (let at = node; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    canvas.clearRect(0, 0, 1, 1);
    grounds.forEach(paint);
    const ground = luminance();
    paint(getComputedStyle(node).color);
    const [least, most] = [ground, luminance()].sort((a, b) => a - b);
    return (most + 0.05) / (least + 0.05);
  };
  const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
  const speaks = (e) => !e.matches(".skip, .unseen, option, optgroup") && [...e.childNodes].some(isText);
  return [...document.querySelectorAll("body *")]
    .filter((e) => e.checkVisibility() && !e.disabled && speaks(e))
    .map((e) => [contrast(e), e.textContent])
    .filter(([found]) => found < 4.5);
}

/** As if the tab were left, or looked at again. */
function look(away) {
  Object.defineProperty(document, "hidden", { value: away, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
