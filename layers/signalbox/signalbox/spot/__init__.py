"""The Spot domain: interruptions of EC2 capacity, answered before the deadline."""
