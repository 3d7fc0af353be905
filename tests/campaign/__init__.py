"""Campaigns against the benchmark: too long for the tests, run by `python -m tests.campaign.NAME`."""
