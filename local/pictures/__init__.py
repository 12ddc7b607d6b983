"""Pictures of the stack's dashboards, from what a run on the embedded AWS has left behind."""
