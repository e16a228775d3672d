"""Which paths are for whom; `app.access` holds it, `app.openapi` tells it."""

HEALTH_PATHS = frozenset({"/livez", "/readyz"})
"""Asked by load balancers, which have no key and come from elsewhere."""

PUBLIC_PATHS = HEALTH_PATHS | {
    "/",
    "/monitor",
    "/operations",
    "/presets",
    "/session",
    "/openapi.json",
    "/docs",
    "/postman.json",
}
"""What tells the same to everybody, and where the monitor's users sign in."""

PUBLIC_FILES = "/static/"
"""Beginning of the paths of the pages' files."""

ADMIN_PATHS = frozenset({"/metrics", "/stats", "/workers", "/queue", "/queue/pause", "/queue/resume"})
"""What tells of everybody's tasks, and what changes them all."""

LINKED_PATHS = "/processed/"
"""Beginning of the paths to which `app.links` gives links that need no key."""
