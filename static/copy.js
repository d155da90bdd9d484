import { button } from "./element.js";

/**
 * A button that copies a text.
 *
 * @param {string} text
 * @param {Node} shown  selected as well: without access to the clipboard, Ctrl+C copies the selection
 * @param {string} [label]  for readers who do not see what is beside the button
 */
export function copyButton(text, shown, label) {
  const copy = button("Copy", async () => {
    getSelection().selectAllChildren(shown);
    await navigator.clipboard?.writeText(text).then(() => (copy.textContent = "Copied"), () => {});
  });
  if (label) copy.ariaLabel = label;
  return copy;
}
