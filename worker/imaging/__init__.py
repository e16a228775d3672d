"""Plan, decode, render and encode images. May import `operations`, `pixels` and `validation`."""
