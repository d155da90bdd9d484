/** The REST reference: Swagger UI over /openapi.json. It keeps no token, and asks nobody but this server. */

const dark = matchMedia("(prefers-color-scheme: dark)");

function follow() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

dark.addEventListener("change", follow);
follow();

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true, // an operation has an address of its own
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false,
  queryConfigEnabled: false, // or a link could point the page at another server's document
  validatorUrl: null,
  onComplete: () => document.getElementById("reference").removeAttribute("aria-busy"),
});
