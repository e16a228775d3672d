"""The HTTP face: requests in, responses out. Knows Starlette; knows nothing of pixels."""
