"""What the service says about itself: OpenAPI and AsyncAPI documents, made from the types and the table of routes."""
