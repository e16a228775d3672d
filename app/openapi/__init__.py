"""The OpenAPI document, the reference, the Postman collection and llms.txt. May import `http`, `auth` and `tasks`."""
