"""What is wrong with a dataset: findings with their severity, their file and the remedy."""
