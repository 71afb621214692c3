// What a reader of the open page meets: the contrast of every visible text, and the levels of its headings.
// Colours are composited as the browser paints them: each ancestor's background over what is behind it, opacity included.
() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const colour = (css) => {
    if (!known.has(css)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = "rgba(0, 0, 0, 0)";
      brush.fillStyle = css;
      brush.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
      known.set(css, { rgb: [r, g, b], alpha: a / 255 });
    }
    return known.get(css);
  };
  const over = (top, alpha, below) => top.map((part, i) => part * alpha + below[i] * (1 - alpha));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((part) => part / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const paint = (element) => (element instanceof SVGElement ? "fill" : "color");
  // Colour of the text and of what lies behind it, along the ancestors from the page inwards.
  const painted = (path, css, alpha, below, middle) => {
    const [element, ...rest] = path;
    const style = getComputedStyle(element);
    const own = { ...colour(style.backgroundColor) };
    const box = element.getBoundingClientRect();
    const holds = box.left <= middle.x && middle.x <= box.right && box.top <= middle.y && middle.y <= box.bottom;
    if (!holds && element !== document.body && element !== document.documentElement) own.alpha = 0; // a label beside it
    let behind = over(own.rgb, own.alpha, below);
    let text;
    if (rest.length) [text, behind] = painted(rest, css, alpha, behind, middle);
    else {
      const ink = colour(css);
      text = over(ink.rgb, ink.alpha * alpha, behind);
    }
    const opacity = parseFloat(style.opacity);
    return [over(text, opacity, below), over(behind, opacity, below)];
  };
  const ancestors = (element) => {
    const path = [];
    for (let one = element; one; one = one.parentElement) path.unshift(one);
    return path;
  };
  const visible = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true });
  const switchedOff = (element) => element.closest("[disabled], [aria-disabled=true], fieldset:disabled") !== null;
  const where = (element) => element.closest("[data-testid]")?.dataset.testid ?? element.tagName;

  const texts = [];
  const measure = (element, said, css, style) => {
    if (!said || !visible(element) || switchedOff(element)) return;
    const box = element.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) return; // for screen readers alone
    const alpha = element instanceof SVGElement ? parseFloat(style.fillOpacity) : 1;
    const middle = { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
    const [text, behind] = painted(ancestors(element), css, alpha, [255, 255, 255], middle);
    const size = parseFloat(style.fontSize);
    const icon = /Material/.test(style.fontFamily);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    const found = contrast(text, behind);
    const needed = icon || large ? 3 : 4.5; // an icon is a picture
    texts.push({ said: said.slice(0, 60), where: where(element), contrast: Math.round(found * 100) / 100, needed, text, behind });
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (["SCRIPT", "STYLE", "NOSCRIPT", "CANVAS"].includes(element.tagName) || element.closest("canvas")) continue;
    const style = getComputedStyle(element);
    measure(element, node.textContent.trim(), style[paint(element)], style);
  }
  for (const field of document.querySelectorAll("input:not([type=range], [type=checkbox], [type=radio], [type=file]), textarea")) {
    const style = getComputedStyle(field);
    const hint = getComputedStyle(field, "::placeholder");
    if (field.value) measure(field, field.value, style.color, style);
    else if (field.placeholder) {
      const ink = colour(hint.color);
      measure(field, field.placeholder, `rgba(${ink.rgb.join(",")},${ink.alpha * parseFloat(hint.opacity)})`, style);
    }
  }
  const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(visible);
  return { texts, headings: headings.map((one) => [Number(one.tagName[1]), one.textContent.trim()]) };
}
