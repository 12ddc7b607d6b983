"""Whether a new version of a function may take over: asked by CodeDeploy, answered by the version itself."""
