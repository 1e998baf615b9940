// Setting up an authenticator app: what it scans or is told, and the first code.

import { copyButton } from "./copying.js";
import { el, link } from "./dom.js";
import { field } from "./forms.js";

// `enrolment` is what the server shows this once: a secret as text, as a link and as an image.
export function enrolmentFields({ secret, uri, qr_svg: svg }) {
  const spaced = secret.match(/.{1,4}/g).join(" ");
  return [
    el(
      "ol", { class: "steps" },
      el("li", {}, el("p", {}, "Scan this with your authenticator app, on your phone or in your password manager."), qrCode(svg), el(
        "details", { class: "small" },
        el("summary", {}, "Cannot scan it?"),
        el("div", { class: "stack tight" },
          el("p", {}, link(uri, "Open the app on this device"), ", or type this key into it:"),
          el("div", { class: "row" }, el("code", { class: "secret", "data-secret": true }, spaced), copyButton(secret, "Copy key"))),
      )),
      el("li", {}, field("code", {
        label: "Type the code that the app shows now", inputmode: "numeric", autocomplete: "one-time-code", maxlength: 8, required: true, placeholder: "123 456",
      })),
    ),
  ];
}

// An image and not markup: whatever is in it, it runs nothing.
function qrCode(svg) {
  const src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  return el("img", { class: "qr", src, alt: "QR code for your authenticator app", onload: () => URL.revokeObjectURL(src) });
}
