"""Learners: how to adapt quickly, learned from many tasks. One learner = one file = one name."""
