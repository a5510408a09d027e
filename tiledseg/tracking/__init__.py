"""The only room that talks to MLflow."""
