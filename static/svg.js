/** SVG elements. Text is always set as text. What they look like is in chart.css: the policy allows no inline styles. */

const NAMESPACE = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(name, typeof value === "number" ? +value.toFixed(2) : value);
  }
  made.append(...children);
  return made;
}

export const text = (x, y, words, name = "") => svg("text", { x, y, class: name }, words);

/** A path through points; it is interrupted where `y` is null. */
export function path(points, name) {
  let isBroken = true;
  const d = points.map(([x, y]) => {
    if (y === null) return (isBroken = true) && "";
    const step = `${isBroken ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    isBroken = false;
    return step;
  });
  return svg("path", { d: d.join(""), class: name });
}
