// Shows the document that this server serves. Nothing is asked of anybody else, validators included.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  validatorUrl: null,
});
