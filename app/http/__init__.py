"""HTTP in general: errors, parameters, forms, negotiation. May import `worker`, and no other folder of `app`."""
