"""What tasks and learners promise: the contracts that both sides import, and the words in which errors are told."""
