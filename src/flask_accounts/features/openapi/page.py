"""The docs page: Swagger UI's own script and style, from this host, and nothing else."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Swagger UI sets style attributes, hence the one exception."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Accounts API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

START = """"use strict";
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
  // In cookie mode the CSRF token goes along, as the API asks.
  requestInterceptor: (request) => {
    const match = document.cookie.match(/(?:^|; )csrf_access_token=([^;]+)/);
    if (match && request.method !== "GET") request.headers["X-CSRF-TOKEN"] = match[1];
    return request;
  },
});
"""
