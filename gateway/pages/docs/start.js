SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  docExpansion: "none",
  filter: true,
  displayRequestDuration: true,
  tryItOutEnabled: false,
  validatorUrl: null,
});
