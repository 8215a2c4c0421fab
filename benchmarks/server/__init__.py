"""The servers that the clients are measured against, each its own process."""
