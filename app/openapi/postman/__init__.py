"""The Postman collection: its folders and requests, their scripts, and how it is written from the OpenAPI document."""
