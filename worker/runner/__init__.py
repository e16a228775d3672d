"""Process tasks: loop, processor, thread slots, heartbeat, clean-up. May import every other folder."""
