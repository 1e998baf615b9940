// Taking a text along.

import { el, say } from "./dom.js";

export function copyButton(text, label = "Copy") {
  const button = el("button", { type: "button", class: "button quiet small" }, label);
  let back;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      say("Your browser does not let this page copy. Please select the text and copy it.");
      return;
    }
    button.textContent = "Copied";
    say("Copied.");
    clearTimeout(back);
    back = setTimeout(() => { button.textContent = label; }, 2000);
  });
  return button;
}

export function save(text, filename) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  el("a", { href: url, download: filename }).click();
  URL.revokeObjectURL(url);
}
