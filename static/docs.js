// Shows the API's document, and has it tried out on the server that this page
// came from: the browser would not ask another one.
"use strict";

async function show() {
  const response = await fetch("/api-docs/openapi.json");
  const spec = await response.json();
  spec.servers = [{ url: location.origin }];
  window.ui = SwaggerUIBundle({
    dom_id: "#docs",
    spec,
    deepLinking: true,
    docExpansion: "none",
    filter: true,
    // Nobody else is asked whether the document is one.
    validatorUrl: null,
  });
}

show();
