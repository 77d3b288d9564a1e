// Shows the API's document, and has it tried out on the server that this page
// came from: the browser would not ask another one.
"use strict";

async function show() {
  const response = await fetch("/api-docs/openapi.json");
  const spec = await response.json();
  spec.servers = [{ url: location.origin }];
  leaveOpen(spec);
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

// Swagger UI fills examples into every field. What need not be said is left to
// whoever tries a route out: a cursor that nobody meant skips half a list.
function leaveOpen(spec) {
  const operations = Object.values(spec.paths).flatMap((path) => Object.values(path));
  for (const parameter of operations.flatMap((operation) => operation.parameters ?? [])) {
    if (parameter.required) continue;
    const name = parameter.schema.$ref?.split("/").pop();
    parameter.schema = { ...(name ? spec.components.schemas[name] : parameter.schema) };
    for (const filled of [parameter, parameter.schema]) {
      delete filled.example;
      delete filled.examples;
    }
  }
}

show();
