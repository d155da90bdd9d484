"""The OpenAPI and AsyncAPI documents, generated from the types and the table of routes."""
