"""The OpenAPI document, the reference page and the Postman collection. May import `http`, `auth` and `tasks`."""
