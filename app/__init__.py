"""The HTTP API, built on Starlette. It may import `worker`; it does not process images itself."""
