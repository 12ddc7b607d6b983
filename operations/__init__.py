"""What a person runs against a deployed stack: replay a dead-letter queue, announce a deployment."""
