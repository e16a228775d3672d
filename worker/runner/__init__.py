"""Process tasks: loop, processor, slots, fetching, sending, reuse, clean-up; start checks. May import all others."""
