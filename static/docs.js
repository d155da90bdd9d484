/** The REST reference: Swagger UI over /openapi.json. It stores no token, and sends requests to this server only. */

import { SITE } from "./site.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

function applyScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

dark.addEventListener("change", applyScheme);
applyScheme();

window.SwaggerUIBundle({
  url: `${SITE}/openapi.json`,
  dom_id: "#reference",
  deepLinking: true, // each operation has its own URL
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false,
  queryConfigEnabled: false, // otherwise a link could load another server's document into this page
  validatorUrl: null,
  onComplete: () => document.getElementById("reference").removeAttribute("aria-busy"),
});
