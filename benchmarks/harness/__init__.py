"""The only room that knows both tasks and methods: it owns loop, clock, count and log."""
